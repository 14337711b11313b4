//! Grafana's panels as JSON, and how they are laid out: left to right, rows of 24 columns.

use serde_json::{Value, json};

/// Units as Grafana calls them.
#[derive(Clone, Copy)]
pub(super) enum Unit {
    Count,
    PerSecond,
    BytesPerSecond,
    Bytes,
    Seconds,
    /// Of 1.
    Share,
}

impl Unit {
    fn id(self) -> &'static str {
        match self {
            Self::Count => "short",
            Self::PerSecond => "cps",
            Self::BytesPerSecond => "binBps",
            Self::Bytes => "bytes",
            Self::Seconds => "s",
            Self::Share => "percentunit",
        }
    }
}

/// A query, and what its series are called: `{{label}}` stands for a label.
pub(super) struct Query {
    pub(super) expr: String,
    pub(super) legend: &'static str,
}

pub(super) fn query(expr: impl Into<String>, legend: &'static str) -> Query {
    Query { expr: expr.into(), legend }
}

/// Panels of one dashboard, in the order in which they are added.
#[derive(Default)]
pub(super) struct Panels {
    all: Vec<Value>,
    x: u64,
    y: u64,
    /// Of the row that is being filled.
    height: u64,
}

const COLUMNS: u64 = 24;

impl Panels {
    /// A heading over what follows.
    pub(super) fn heading(&mut self, title: &str) {
        let place = self.place(COLUMNS, 1);
        let id = self.id();
        self.all.push(json!({
            "id": id, "type": "row", "title": title, "collapsed": false, "gridPos": place, "panels": [],
        }));
    }

    /// Lines over time.
    pub(super) fn graph(&mut self, title: &str, says: &str, unit: Unit, width: u64, queries: &[Query]) {
        const HEIGHT: u64 = 8;
        let mut panel = self.panel("timeseries", (title, says), (width, HEIGHT), queries, unit);
        panel["fieldConfig"]["defaults"]["custom"] = json!({
            "drawStyle": "line", "lineWidth": 1, "fillOpacity": 8, "showPoints": "never", "spanNulls": false,
        });
        panel["options"] = json!({
            "legend": { "calcs": ["max", "lastNotNull"], "displayMode": "table", "placement": "bottom", "showLegend": true },
            "tooltip": { "mode": "multi", "sort": "desc" },
        });
        self.all.push(panel);
    }

    /// Numbers as they are now; red where they are below `low`, or at it.
    pub(super) fn now(&mut self, title: &str, says: &str, unit: Unit, width: u64, (low, queries): (f64, &[Query])) {
        const HEIGHT: u64 = 4;
        let mut panel = self.panel("stat", (title, says), (width, HEIGHT), queries, unit);
        panel["fieldConfig"]["defaults"]["color"] = json!({ "mode": "thresholds" });
        panel["fieldConfig"]["defaults"]["thresholds"] = json!({
            "mode": "absolute", "steps": [{ "color": "red", "value": null }, { "color": "green", "value": low }],
        });
        panel["options"] = json!({
            "colorMode": "value", "graphMode": "none", "justifyMode": "auto", "orientation": "auto",
            "percentChangeColorMode": "standard", "showPercentChange": false, "textMode": "auto", "wideLayout": true,
            "reduceOptions": { "calcs": ["lastNotNull"], "fields": "", "values": false },
        });
        self.all.push(panel);
    }

    /// Series as rows, as they are now, the largest first.
    pub(super) fn table(&mut self, title: &str, says: &str, unit: Unit, width: u64, expr: impl Into<String>) {
        const HEIGHT: u64 = 8;
        let mut panel = self.panel("table", (title, says), (width, HEIGHT), &[query(expr, "")], unit);
        panel["targets"][0]["instant"] = true.into();
        panel["targets"][0]["range"] = false.into();
        panel["targets"][0]["format"] = "table".into();
        panel["options"] = json!({
            "frameIndex": 0, "showHeader": true, "cellHeight": "sm", "sortBy": [{ "displayName": "Value", "desc": true }],
        });
        let hidden = ["Time", "instance", "job", "pipeline"].map(|name| (name.to_owned(), Value::Bool(true)));
        panel["transformations"] = json!([{
            "id": "organize", "options": { "excludeByName": hidden.into_iter().collect::<serde_json::Map<_, _>>() },
        }]);
        self.all.push(panel);
    }

    /// All of them.
    pub(super) fn finish(self) -> Vec<Value> {
        self.all
    }

    fn panel(
        &mut self,
        kind: &str,
        (title, says): (&str, &str),
        (width, height): (u64, u64),
        queries: &[Query],
        unit: Unit,
    ) -> Value {
        let targets = queries.iter().zip('A'..).map(|(query, id)| {
            json!({
                "refId": id.to_string(), "datasource": datasource(), "editorMode": "code", "expr": query.expr,
                "legendFormat": query.legend, "range": true,
            })
        });
        let targets: Vec<_> = targets.collect();
        let place = self.place(width, height);
        json!({
            "id": self.id(), "type": kind, "title": title, "description": says, "datasource": datasource(),
            "gridPos": place, "targets": targets,
            "fieldConfig": {
                "defaults": { "unit": unit.id(), "color": { "mode": "palette-classic" }, "custom": {} }, "overrides": [],
            },
        })
    }

    fn id(&self) -> usize {
        self.all.len() + 1
    }

    fn place(&mut self, width: u64, height: u64) -> Value {
        if self.x + width > COLUMNS {
            self.x = 0;
            self.y += self.height;
            self.height = 0;
        }
        let place = json!({ "x": self.x, "y": self.y, "w": width, "h": height });
        self.x += width;
        self.height = self.height.max(height);
        place
    }
}

/// The one that is chosen above the dashboard.
pub(super) fn datasource() -> Value {
    json!({ "type": "prometheus", "uid": "${datasource}" })
}
