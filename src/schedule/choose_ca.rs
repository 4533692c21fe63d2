//! Which CA to ask, and in which order. Pure.

use super::budget::Shortage;
use super::ladder::Rung;

/// The CAs to try now, by their places in the list; or the place of the one that may be asked first,
/// where none may be asked now.
///
/// The first of the list is the one that is wanted, so the next renewal begins with it again. The
/// others come into play when the runway is short, or nothing is served at all.
pub(crate) fn choose(budgets: &[Result<(), Shortage>], rung: Rung) -> Result<Vec<usize>, usize> {
    let candidates = if rung >= Rung::AnyCa { budgets } else { &budgets[..budgets.len().min(1)] };
    let able = candidates.iter().enumerate().filter(|(_, budget)| budget.is_ok());
    let able: Vec<usize> = able.map(|(place, _)| place).collect();
    if able.is_empty() {
        let until =
            |place: &usize| candidates[*place].as_ref().err().map(|shortage| shortage.until);
        return Err((0..candidates.len()).min_by_key(until).unwrap_or_default());
    }
    Ok(able)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Timestamp;
    use crate::schedule::budget::Lack;
    use crate::schedule::limits::Scope;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_unix(1_800_000_000 + 60 * minutes)
    }

    #[test]
    fn the_first_is_asked_until_the_runway_is_short() {
        let short =
            |until| Err(Shortage { until: at(until), scope: Scope::Orders, why: Lack::Told });
        let ok = || Ok(());
        let table = [
            (vec![ok(), ok()], Rung::AsWanted, Ok(vec![0])),
            (vec![ok(), ok()], Rung::AnyCa, Ok(vec![0, 1])),
            (vec![short(5), ok()], Rung::AsWanted, Err(0)),
            (vec![short(5), ok()], Rung::AtRisk, Ok(vec![1])),
            (vec![short(5), short(3)], Rung::LongerProfile, Err(1)),
            (vec![ok(), short(3), ok()], Rung::AnyCa, Ok(vec![0, 2])),
        ];
        for (budgets, rung, chosen) in table {
            assert_eq!(choose(&budgets, rung), chosen, "{budgets:?} {rung:?}");
        }
    }
}
