//! What the tuner does not even try: kernels that are known to be wrong on this device.

use crate::error::Result;
use crate::gpu::Recording;
use crate::known_bad::KnownBad;
use crate::network::Compiled;
use crate::ops::{self, Form, OperandSource, Settings};
use crate::plan::Pass;
use crate::tune::Choices;
use crate::verify::Launch;

/// Why a pass is not to be run with these settings, if it is not.
fn refusal(known: &KnownBad, compiled: &Compiled, pass: &Pass, settings: &Settings) -> Result<Option<String>> {
    if known.entries().is_empty() {
        return Ok(None);
    }
    let mut recording = Recording::new();
    ops::record(&compiled.plan, pass, settings, &mut recording)?;
    Ok(known.reason(&Launch::of(settings, &recording)))
}

/// Those of the candidates for a pass that are not to be run, and why.
pub(super) fn known(
    known: &KnownBad,
    compiled: &Compiled,
    pass: &Pass,
    candidates: &[Settings],
) -> Result<Vec<(Settings, String)>> {
    let mut found = Vec::new();
    for settings in candidates {
        found.extend(refusal(known, compiled, pass, settings)?.map(|why| (*settings, why)));
    }
    Ok(found)
}

/// Gives every pass that would run a kernel that is known to be wrong another one: the first of the candidates that is
/// not, or kernels with less to go wrong.
pub(super) fn avoid(
    known: &KnownBad,
    compiled: &Compiled,
    candidates: &[Settings],
    choices: &mut Choices,
) -> Result<()> {
    let plain = Settings { wide: false, operands: OperandSource::Buffer, ..choices.others };
    let simple = [Settings { wide: false, ..choices.others }, plain, Settings { form: Form::Naive, ..plain }];
    for pass in [&compiled.train, &compiled.evaluate, &compiled.predict].into_iter().flatten() {
        let chosen = choices.passes.get(&pass.label).unwrap_or(&choices.others);
        if refusal(known, compiled, pass, chosen)?.is_none() {
            continue;
        }
        for settings in candidates.iter().chain(&simple) {
            if refusal(known, compiled, pass, settings)?.is_none() {
                choices.passes.insert(pass.label.clone(), *settings);
                break;
            }
        }
    }
    Ok(())
}
