//! The dashboard for Grafana, made of the table of metrics.

use serde_json::{Value, json};

use super::metrics::{Alarm, Group, Metric, Panel, Shape, TABLE, Worse};

/// Columns of Grafana's grid.
const WIDTH: u64 = 24;
/// Where a rule asks only whether there is anything: the least that is something.
const ANYTHING: f64 = 1.0;
/// The same where it asks whether anything is left, shown as a share.
const HARDLY_ANYTHING: f64 = 0.01;

/// Writes a dashboard that can be imported.
pub(crate) fn text() -> String {
    let dashboard = json!({
        "uid": "acmeagent",
        "title": "acmeagent",
        "description": "Certificates and their renewals. Made by `acmeagent generate dashboard`.",
        "tags": ["acme", "certificates", "tls"],
        "schemaVersion": 39,
        "editable": true,
        "graphTooltip": 1,
        "refresh": "1m",
        "time": {"from": "now-7d", "to": "now"},
        "timezone": "",
        "templating": {"list": [
            {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"},
            choice("instance", "Host", "label_values(acmeagent_certificates, instance)"),
            choice(
                "certificate",
                "Certificate",
                "label_values(acmeagent_certificate_unreadable{instance=~\"$instance\"}, certificate)",
            ),
        ]},
        "panels": panels(),
    });
    format!("{dashboard:#}\n")
}

/// A choice of several among the values of a label.
fn choice(name: &str, label: &str, query: &str) -> Value {
    json!({
        "name": name,
        "label": label,
        "type": "query",
        "datasource": source(),
        "definition": query,
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "sort": 1,
        "multi": true,
        "includeAll": true,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
    })
}

fn source() -> Value {
    json!({"type": "prometheus", "uid": "${datasource}"})
}

/// A heading for each group, and below it its panels, numbers first.
fn panels() -> Vec<Value> {
    let mut placed = Vec::new();
    let mut y = 0;
    for group in &TABLE {
        placed.push(json!({
            "id": placed.len() + 1, "type": "row", "title": group.title, "collapsed": false,
            "gridPos": {"x": 0, "y": y, "w": WIDTH, "h": 1}, "panels": [],
        }));
        y += 1;
        let (mut x, mut tallest) = (0, 0);
        for (metric, panel) in shown(group) {
            let (w, h) = size(panel.shape);
            if x + w > WIDTH || (h != tallest && x > 0) {
                (x, y) = (0, y + tallest);
            }
            let mut made = made(metric, panel);
            made["id"] = json!(placed.len() + 1);
            made["gridPos"] = json!({"x": x, "y": y, "w": w, "h": h});
            placed.push(made);
            (x, tallest) = (x + w, h);
        }
        y += tallest;
    }
    placed
}

fn shown(group: &Group) -> Vec<(&Metric, &Panel)> {
    let panels = group.metrics.iter();
    let mut panels: Vec<_> =
        panels.filter_map(|metric| Some((metric, metric.panel.as_ref()?))).collect();
    panels.sort_by_key(|(_, panel)| panel.shape != Shape::Number);
    panels
}

/// In cells of the grid.
fn size(shape: Shape) -> (u64, u64) {
    match shape {
        Shape::Number => (6, 4),
        Shape::Bars | Shape::Lines => (12, 8),
    }
}

fn made(metric: &Metric, panel: &Panel) -> Value {
    let expr = panel.expr.replace("$host", "instance=~\"$instance\"");
    let expr = expr.replace("$each", "instance=~\"$instance\",certificate=~\"$certificate\"");
    let reduced = json!({"calcs": ["lastNotNull"], "fields": "", "values": false});
    let (kind, options) = match panel.shape {
        Shape::Number => (
            "stat",
            json!({"reduceOptions": reduced, "colorMode": "value", "graphMode": "none", "textMode": "auto"}),
        ),
        Shape::Bars => (
            "bargauge",
            json!({"reduceOptions": reduced, "displayMode": "basic", "orientation": "horizontal", "showUnfilled": true}),
        ),
        Shape::Lines => (
            "timeseries",
            json!({"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi", "sort": "desc"}}),
        ),
    };
    let mut defaults = json!({"unit": panel.unit, "thresholds": thresholds(metric.alarm.as_ref())});
    if panel.shape == Shape::Lines {
        let style = if metric.alarm.is_some() { "dashed" } else { "off" };
        defaults["custom"] = json!({
            "lineWidth": 1, "fillOpacity": 0, "showPoints": "auto", "spanNulls": true,
            "thresholdsStyle": {"mode": style},
        });
    } else if panel.unit == "percentunit" {
        defaults["min"] = json!(0);
        defaults["max"] = json!(1);
    }
    json!({
        "type": kind,
        "title": panel.title,
        "description": metric.help,
        "datasource": source(),
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": options,
        "targets": [{
            "refId": "A", "datasource": source(), "expr": expr, "legendFormat": panel.legend,
            "instant": panel.shape != Shape::Lines, "range": panel.shape == Shape::Lines,
        }],
    })
}

/// The colours of a panel change where its rules begin to fire.
fn thresholds(alarm: Option<&Alarm>) -> Value {
    let step = |color: &str, value: Option<f64>| json!({"color": color, "value": value});
    let Some(alarm) = alarm else {
        return json!({"mode": "absolute", "steps": [step("green", None)]});
    };
    let colour = |severity| if severity == "critical" { "red" } else { "orange" };
    let edges = |least: f64| {
        let levels = alarm.levels();
        levels.map(move |(severity, limits)| {
            (colour(severity), limits.first().copied().unwrap_or(least))
        })
    };
    let mut steps = Vec::new();
    match alarm.worse {
        Worse::Above => {
            steps.push(step("green", None));
            steps.extend(edges(ANYTHING).map(|(colour, limit)| step(colour, Some(limit))));
        }
        Worse::Below => {
            let mut from = None;
            let edges: Vec<_> = edges(HARDLY_ANYTHING).collect();
            for (colour, limit) in edges.into_iter().rev() {
                steps.push(step(colour, from));
                from = Some(limit);
            }
            steps.push(step("green", from));
        }
    }
    json!({"mode": "absolute", "steps": steps})
}
