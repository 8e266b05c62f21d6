//! `metrics.jsonl`: what a run reports, as one line of JSON per step or epoch.

use crate::train::{EpochReport, Progress, StepsReport};
use serde::Serialize;
use serde_json::Value;

#[derive(Serialize)]
struct StepLine {
    kind: &'static str,
    step: usize,
    epoch: usize,
    loss: f64,
}

/// Lines for the steps whose number is a multiple of `every`.
pub(super) fn step_lines(report: &StepsReport<'_>, every: usize) -> Vec<String> {
    let numbered = report.losses.iter().enumerate().map(|(index, loss)| (report.first_step + index, *loss));
    numbered
        .filter(|(step, _)| step.is_multiple_of(every))
        .map(|(step, loss)| json(&StepLine { kind: "step", step, epoch: report.epoch, loss }))
        .collect()
}

#[derive(Serialize)]
struct EpochLine<'a> {
    kind: &'static str,
    #[serde(flatten)]
    report: &'a EpochReport,
}

/// The line for an epoch.
pub(super) fn epoch_line(report: &EpochReport) -> String {
    json(&EpochLine { kind: "epoch", report })
}

#[derive(Serialize)]
struct ProfileLine {
    kind: &'static str,
    #[serde(flatten)]
    profile: Value,
}

/// The line for a profile.
pub(super) fn profile_line(profile: Value) -> String {
    json(&ProfileLine { kind: "profile", profile })
}

fn json(line: &impl Serialize) -> String {
    match serde_json::to_string(line) {
        Ok(text) => text,
        Err(error) => unreachable!("numbers and words: {error}"),
    }
}

/// The step and epoch lines up to `progress`, which a run resumed from there will not write again. Damaged lines and an
/// incomplete last line are left out.
pub fn until(text: &[u8], progress: &Progress) -> Vec<u8> {
    whole_lines(text).filter(|line| lies_before(line, progress)).flatten().copied().collect()
}

/// The lines that end in a newline. Anything after the last one was cut off when the program was killed.
fn whole_lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n"))
}

/// Whether a line belongs to a step or an epoch up to `progress`.
fn lies_before(line: &[u8], progress: &Progress) -> bool {
    let Ok(value) = serde_json::from_slice::<Value>(line) else { return false };
    let by = |key: &str, most: usize| value[key].as_u64().is_some_and(|number| number <= most as u64);
    match value["kind"].as_str() {
        Some("step") => by("step", progress.step),
        Some("epoch") => by("epoch", progress.epochs),
        _ => false,
    }
}

/// What is wrong with the metrics of a run that has reached `progress`, if anything: a line that no run writes, or a
/// missing epoch. An incomplete last line is not an error: a killed program leaves one.
pub fn damage(text: &[u8], progress: &Progress) -> Option<String> {
    match epochs(text) {
        Err(problem) => Some(problem),
        Ok(there) if there.len() < progress.epochs => {
            Some(format!("it tells of {} epochs, and {} are done", there.len(), progress.epochs))
        }
        Ok(_) => None,
    }
}

/// The epochs in the lines, in order from the first. An incomplete last line is ignored: a resumed run writes it again.
///
/// # Errors
///
/// Names the line that no run writes, or whose epoch is out of order.
pub fn epochs(text: &[u8]) -> Result<Vec<EpochReport>, String> {
    let mut epochs = Vec::new();
    for (index, line) in whole_lines(text).enumerate() {
        let said = |problem: String| format!("line {}: {problem}", index + 1);
        let value: Value = serde_json::from_slice(line).map_err(|error| said(format!("not JSON: {error}")))?;
        match value["kind"].as_str() {
            Some("step") if value["step"].is_u64() => {}
            Some("step") => return Err(said("expected the number of the step".into())),
            Some("profile") => {}
            Some("epoch") => epochs.push(epoch(value, epochs.len() + 1).map_err(said)?),
            _ => return Err(said("expected a line of the kind `step`, `epoch` or `profile`".into())),
        }
    }
    Ok(epochs)
}

fn epoch(value: Value, expected: usize) -> Result<EpochReport, String> {
    let report: EpochReport = serde_json::from_value(value).map_err(|error| format!("not an epoch: {error}"))?;
    if report.epoch != expected {
        return Err(format!("expected epoch {expected}, got {}", report.epoch));
    }
    let is_share = |share: f64| (0.0..=1.0).contains(&share);
    let is_finite = [report.train_loss, report.val_loss, report.seconds].iter().all(|number| number.is_finite());
    match is_share(report.train_accuracy) && is_share(report.val_accuracy) && is_finite {
        true => Ok(report),
        false => Err("expected accuracies from 0 to 1 and finite numbers".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(epoch: usize) -> EpochReport {
        EpochReport {
            epoch,
            step: 3 * epoch,
            train_loss: 0.1 + 0.2,
            train_accuracy: 1.0 / 3.0,
            val_loss: 5e-324,
            val_accuracy: 1.0,
            seconds: 0.5,
            images_per_second: 600.0,
        }
    }

    fn line(report: &EpochReport) -> String {
        let mut value = serde_json::to_value(report).unwrap();
        value["kind"] = "epoch".into();
        format!("{value}\n")
    }

    #[test]
    fn what_was_written_is_read_back_to_the_bit() {
        let step = "{\"kind\":\"step\",\"step\":1,\"epoch\":1,\"loss\":2.3}\n";
        let text = [step, &line(&report(1)), step, &line(&report(2)), "{\"kind\":\"profile\",\"rows\":[]}\n"].concat();
        assert_eq!(epochs(text.as_bytes()), Ok(vec![report(1), report(2)]));
        assert_eq!(epochs(b""), Ok(vec![]));
        // Wherever a write is cut off, the epochs before it are read.
        let last = line(&report(3));
        for cut in 0..last.len() {
            let text = format!("{text}{}", &last[..cut]);
            assert_eq!(epochs(text.as_bytes()).unwrap().len(), 2, "{cut}");
        }
    }

    #[test]
    fn a_damaged_line_is_named() {
        let first = line(&report(1));
        let problem = |text: String| epochs(text.as_bytes()).unwrap_err();
        assert!(problem(format!("{first}{{\"kind\":\"st\n")).starts_with("line 2: not JSON: "));
        assert_eq!(problem(format!("{first}{first}")), "line 2: expected epoch 2, got 1");
        assert_eq!(problem(line(&report(2))), "line 1: expected epoch 1, got 2");
        assert!(
            problem("{\"kind\":\"epoch\",\"epoch\":1}\n".into()).starts_with("line 1: not an epoch: missing field")
        );
        assert!(problem("7\n".into()).starts_with("line 1: expected a line of the kind"));
        let impossible = EpochReport { val_accuracy: 1.5, ..report(1) };
        assert!(problem(line(&impossible)).starts_with("line 1: expected accuracies from 0 to 1"));
    }

    #[test]
    fn damage_is_told_from_a_line_cut_short() {
        let step = "{\"kind\":\"step\",\"step\":1,\"epoch\":1,\"loss\":2.3}\n";
        let text = [step, &line(&report(1)), &line(&report(2)), &line(&report(3))].concat();
        let progress = |epochs: usize| Progress { epochs, step: 3 * epochs, ..Progress::default() };
        assert_eq!(damage(text.as_bytes(), &progress(3)), None);
        // Steps that are repeated are written again.
        assert_eq!(damage(text.as_bytes(), &progress(1)), None);
        assert_eq!(until(text.as_bytes(), &progress(1)), [step, &line(&report(1))].concat().as_bytes());
        let cut = &text.as_bytes()[..text.len() - 1];
        assert_eq!(damage(cut, &progress(2)), None);
        assert_eq!(damage(cut, &progress(3)).unwrap(), "it tells of 2 epochs, and 3 are done");
        assert_eq!(damage(b"", &progress(3)).unwrap(), "it tells of 0 epochs, and 3 are done");
        let broken = text.replacen("\"kind\"", "\0kind\"", 1);
        assert!(damage(broken.as_bytes(), &progress(3)).unwrap().starts_with("line 1: not JSON"));
        // Intact lines after the damage are kept.
        let kept = until(broken.as_bytes(), &progress(2));
        assert_eq!(kept, [line(&report(1)), line(&report(2))].concat().as_bytes());
    }
}
