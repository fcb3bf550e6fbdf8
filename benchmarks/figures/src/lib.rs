//! What the benchmarks in Rust have found: rounds come to medians and ratios, these are held against
//! goals, and all of it is told to a person, in a line, and to the file that `--json` names.

mod check;
mod options;
mod rounds;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::Path;

use serde_json::{Map, Value, json};

pub use check::check;
pub use options::Options;
pub use rounds::{Clock, Rounds, Spread, cpu_time};

/// One figure: what we took, and, where there is one, what something else took in the same rounds.
#[derive(Debug)]
pub struct Figure {
    name: String,
    title: String,
    unit: &'static str,
    ours: Rounds,
    baseline: Option<Baseline>,
    goal: Option<f64>,
}

#[derive(Debug)]
struct Baseline {
    of: String,
    rounds: Rounds,
    ratio_is: RatioIs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RatioIs {
    /// How many times as fast as the other we are.
    BaselineByOurs,
    /// How many times as much as bare work ours costs.
    OursByBaseline,
}

impl Figure {
    /// A figure under its stable name, such as `rust.create_link.8.reqwest`.
    pub fn new(
        name: impl Into<String>,
        title: impl Into<String>,
        unit: &'static str,
        ours: Rounds,
    ) -> Self {
        let (name, title) = (name.into(), title.into());
        Self { name, title, unit, ours, baseline: None, goal: None }
    }

    /// Beside what people would use instead: the ratio says how many times as much that takes.
    #[must_use]
    pub fn beside(self, of: impl Into<String>, other: Rounds) -> Self {
        self.with(of.into(), other, RatioIs::BaselineByOurs)
    }

    /// Beside work that cannot be avoided: the ratio says how many times as much ours takes.
    #[must_use]
    pub fn over(self, of: impl Into<String>, bare: Rounds) -> Self {
        self.with(of.into(), bare, RatioIs::OursByBaseline)
    }

    fn with(mut self, of: String, rounds: Rounds, ratio_is: RatioIs) -> Self {
        self.title = format!("{}, beside {of}", self.title);
        self.baseline = Some(Baseline { of, rounds, ratio_is });
        self
    }

    /// What the ratio is to be: at least so much where it says how fast we are, else at most.
    /// Where there is no ratio, what ours is to be at most.
    #[must_use]
    pub fn goal(mut self, goal: f64) -> Self {
        self.goal = Some(goal);
        self
    }

    /// `None` where no goal was set.
    pub fn met(&self) -> Option<bool> {
        let held = match &self.baseline {
            Some(baseline) => self.ratio(baseline).0.median,
            None => self.ours.wall().median,
        };
        let goal = self.goal?;
        Some(if self.is_speed() { held >= goal } else { held <= goal })
    }

    fn is_speed(&self) -> bool {
        self.baseline.as_ref().is_some_and(|of| of.ratio_is == RatioIs::BaselineByOurs)
    }

    fn goal_is(&self) -> &'static str {
        if self.is_speed() { "at_least" } else { "at_most" }
    }

    /// The ratio, and that of the CPU times.
    fn ratio(&self, baseline: &Baseline) -> (Spread, Option<f64>) {
        match baseline.ratio_is {
            RatioIs::BaselineByOurs => baseline.rounds.over(&self.ours),
            RatioIs::OursByBaseline => self.ours.over(&baseline.rounds),
        }
    }

    fn to_json(&self) -> Value {
        let mut fields = Map::new();
        let mut put = |name: &str, value: Value| fields.insert(name.to_owned(), value);
        put("name", json!(self.name));
        put("title", json!(self.title));
        put("unit", json!(self.unit));
        put("ours", Value::Object(taken(&self.ours)));
        match &self.baseline {
            None => put("baseline", Value::Null),
            Some(baseline) => {
                let (Spread { median, low, high }, cpu_ratio) = self.ratio(baseline);
                put("ratio", json!(median));
                put("ratio_low", json!(low));
                put("ratio_high", json!(high));
                if cpu_ratio.is_some() {
                    put("cpu_ratio", json!(cpu_ratio));
                }
                put("ratio_is", json!(baseline.ratio_is.text()));
                let mut other = taken(&baseline.rounds);
                other.insert("of".to_owned(), json!(baseline.of));
                put("baseline", Value::Object(other))
            }
        };
        put("goal", json!(self.goal));
        if self.goal.is_some() {
            put("goal_is", json!(self.goal_is()));
            put("of_goal", json!(if self.baseline.is_some() { "ratio" } else { "ours" }));
        }
        put("met", json!(self.met()));
        Value::Object(fields)
    }
}

impl RatioIs {
    fn text(self) -> &'static str {
        match self {
            Self::BaselineByOurs => "baseline/ours",
            Self::OursByBaseline => "ours/baseline",
        }
    }
}

/// What one contender took in all rounds.
fn taken(rounds: &Rounds) -> Map<String, Value> {
    let Spread { median, low, high } = rounds.wall();
    let mut fields = Map::new();
    for (name, value) in [("median", median), ("low", low), ("high", high)] {
        fields.insert(name.to_owned(), json!(value));
    }
    if let Some(cpu) = rounds.cpu_median() {
        fields.insert("cpu".to_owned(), json!(cpu));
    }
    fields
}

/// A line for a person.
impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { title, unit, ours, .. } = self;
        write!(f, "{title}: {} {unit}", shown(ours.wall().median))?;
        if let Some(baseline) = &self.baseline {
            let (Spread { median, low, high }, cpu_ratio) = self.ratio(baseline);
            write!(f, " and {} {unit}", shown(baseline.rounds.wall().median))?;
            let whose = if self.is_speed() { "that is" } else { "ours is" };
            write!(f, "; {whose} {median:.2} times as much ({low:.2} to {high:.2})")?;
            if let Some(cpu_ratio) = cpu_ratio {
                write!(f, ", in CPU time {cpu_ratio:.2}")?;
            }
        }
        let Some((goal, met)) = self.goal.zip(self.met()) else { return Ok(()) };
        let verdict = if met { "met" } else { "MISSED" };
        write!(f, "; goal {} {goal}: {verdict}", self.goal_is().replace('_', " "))
    }
}

/// Three digits or more, as a person reads them.
fn shown(value: f64) -> String {
    if value < 100.0 { format!("{value:.2}") } else { format!("{value:.0}") }
}

/// All figures of one part of the benchmarks.
#[derive(Debug, Default)]
pub struct Results {
    versions: BTreeMap<String, String>,
    figures: Vec<Figure>,
}

impl Results {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes the version of something that is measured.
    pub fn version(&mut self, of: &str, version: impl Into<String>) {
        self.versions.insert(of.to_owned(), version.into());
    }

    /// Keeps a figure.
    pub fn add(&mut self, figure: Figure) {
        self.figures.push(figure);
    }

    /// Writes the file that `benchmarks/README.md` describes.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, file: &Path) -> io::Result<()> {
        let figures: Vec<Value> = self.figures.iter().map(Figure::to_json).collect();
        let all = json!({ "versions": self.versions, "results": figures });
        std::fs::write(file, format!("{all:#}\n")).map_err(|error| {
            let file = file.display();
            io::Error::new(
                error.kind(),
                format!("the figures cannot be written to {file}: {error}"),
            )
        })
    }
}
