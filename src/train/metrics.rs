//! `metrics.jsonl`: what a run has reported, a line of JSON for a step or an epoch.

use super::Progress;
use serde_json::Value;

/// The lines from the first that tell of what was done by then, as far as they are whole: the part of the file that a run
/// which goes on from there will not write again.
pub fn until<'a>(text: &'a [u8], progress: &Progress) -> &'a [u8] {
    let lines = text.split_inclusive(|byte| *byte == b'\n');
    let kept: usize = lines.take_while(|line| lies_before(line, progress)).map(<[u8]>::len).sum();
    &text[..kept]
}

/// Whether a line is whole and tells of what was done by then.
fn lies_before(line: &[u8], progress: &Progress) -> bool {
    let Ok(value) = serde_json::from_slice::<Value>(line) else { return false };
    let by = |key: &str, most: usize| value[key].as_u64().is_some_and(|number| number <= most as u64);
    line.ends_with(b"\n")
        && match value["kind"].as_str() {
            Some("step") => by("step", progress.step),
            Some("epoch") => by("epoch", progress.epochs),
            _ => false,
        }
}
