//! Figures side by side, in plain text.

use std::time::Duration;

use super::figures::{median, short};
use super::measure::Cost;

/// What is measured of one client, several times.
pub struct Row {
    pub client: String,
    pub costs: Vec<Cost>,
    /// Among how many certificates a run is divided where clients are compared.
    pub share: u32,
}

impl Row {
    fn wall(&self) -> Duration {
        median(self.costs.iter().map(|cost| cost.wall))
    }

    fn each(&self) -> Duration {
        self.wall() / self.share
    }
}

/// Prints a section. The first row is ours; the last column says how many times as long another took.
pub fn print(title: &str, rows: &[Row]) {
    println!("\n{title}");
    println!(
        "  {:<30}{:>3}  {:>9}  {:<19}  {:>9}  {:>8}  {:>9}  {:>8}",
        "", "n", "wall", "(min–max)", "CPU", "RSS MiB", "each", "ratio"
    );
    for row in rows {
        let walls = || row.costs.iter().map(|cost| cost.wall);
        let (least, most) = (walls().min().unwrap_or_default(), walls().max().unwrap_or_default());
        let peak = row.costs.iter().map(|cost| cost.peak_kib).max().unwrap_or_default();
        println!(
            "  {:<30}{:>3}  {:>9}  {:<19}  {:>9}  {:>8.1}  {:>9}  {:>7.1}×",
            row.client,
            row.costs.len(),
            short(row.wall()),
            format!("({}–{})", short(least), short(most)),
            short(median(row.costs.iter().map(|cost| cost.cpu))),
            peak as f64 / 1024.0,
            short(row.each()),
            row.each().as_secs_f64() / rows[0].each().as_secs_f64(),
        );
    }
}
