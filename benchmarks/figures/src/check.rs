//! For the parts' own tests: does a file hold what its part has to tell?

use std::path::Path;

use serde_json::Value;

/// Whether a file that `--json` named holds just these figures, in the shape that
/// `benchmarks/README.md` describes.
///
/// # Errors
/// What is wrong with it.
pub fn check(file: &Path, names: &[&str]) -> Result<(), String> {
    let shown = file.display();
    let text = std::fs::read_to_string(file).map_err(|error| format!("{shown}: {error}"))?;
    let all: Value = serde_json::from_str(&text).map_err(|error| format!("{shown}: {error}"))?;
    all.get("versions").and_then(Value::as_object).ok_or("`versions` is no object")?;
    let results = all.get("results").and_then(Value::as_array).ok_or("`results` is no array")?;
    let told: Vec<&str> =
        results.iter().filter_map(|result| result.get("name")?.as_str()).collect();
    if told != names {
        return Err(format!("it holds the figures {told:?}, and not {names:?}"));
    }
    for (result, name) in results.iter().zip(names) {
        check_result(result).map_err(|problem| format!("{name}: {problem}"))?;
    }
    Ok(())
}

fn check_result(result: &Value) -> Result<(), String> {
    for name in ["title", "unit"] {
        text(result, name)?;
    }
    check_spread(member(result, "ours")?, ["low", "median", "high"])?;
    let baseline = member(result, "baseline")?;
    if !baseline.is_null() {
        text(baseline, "of")?;
        check_spread(baseline, ["low", "median", "high"])?;
        check_spread(result, ["ratio_low", "ratio", "ratio_high"])?;
        one_of(result, "ratio_is", ["baseline/ours", "ours/baseline"])?;
    }
    let (goal, met) = (member(result, "goal")?, member(result, "met")?);
    if goal.is_null() {
        return if met.is_null() { Ok(()) } else { Err("`met` without a goal".to_owned()) };
    }
    let goal = number(result, "goal")?;
    let figure = match one_of(result, "of_goal", ["ratio", "ours"])? {
        "ratio" => number(result, "ratio")?,
        _ => number(member(result, "ours")?, "median")?,
    };
    let holds = match one_of(result, "goal_is", ["at_least", "at_most"])? {
        "at_least" => figure >= goal,
        _ => figure <= goal,
    };
    if met.as_bool() == Some(holds) {
        Ok(())
    } else {
        Err(format!("`met` is {met} with {figure} and a goal of {goal}"))
    }
}

fn check_spread(of: &Value, [low, median, high]: [&str; 3]) -> Result<(), String> {
    let (least, middle, most) = (number(of, low)?, number(of, median)?, number(of, high)?);
    if 0.0 < least && least <= middle && middle <= most {
        Ok(())
    } else {
        Err(format!("`{low}`, `{median}`, `{high}` are {least}, {middle}, {most}"))
    }
}

fn one_of<'a>(of: &'a Value, name: &str, allowed: [&str; 2]) -> Result<&'a str, String> {
    let found = text(of, name)?;
    if allowed.contains(&found) {
        Ok(found)
    } else {
        Err(format!("`{name}` is {found:?}, and none of {allowed:?}"))
    }
}

fn text<'a>(of: &'a Value, name: &str) -> Result<&'a str, String> {
    let text = member(of, name)?.as_str().filter(|text| !text.is_empty());
    text.ok_or_else(|| format!("`{name}` is no text"))
}

fn number(of: &Value, name: &str) -> Result<f64, String> {
    member(of, name)?.as_f64().ok_or_else(|| format!("`{name}` is no number"))
}

fn member<'a>(of: &'a Value, name: &str) -> Result<&'a Value, String> {
    of.get(name).ok_or_else(|| format!("`{name}` is missing"))
}
