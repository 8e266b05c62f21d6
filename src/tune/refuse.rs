//! Kernels that the tuner does not try, because they are known to be wrong on this device.

use crate::error::Result;
use crate::gpu::Recording;
use crate::known_bad::KnownBad;
use crate::network::Compiled;
use crate::ops::{self, KernelConfig, KernelForm, OperandSource};
use crate::plan::Pass;
use crate::tune::KernelChoices;
use crate::verify::Launch;

/// The reason not to run a pass with this configuration, if there is one.
fn refusal(known: &KnownBad, compiled: &Compiled, pass: &Pass, config: &KernelConfig) -> Result<Option<String>> {
    if known.entries().is_empty() {
        return Ok(None);
    }
    let mut recording = Recording::new();
    ops::record(&compiled.plan, pass, config, &mut recording)?;
    Ok(known.reason(&Launch::of(&recording)))
}

/// The candidates for a pass that must not be run, each with the reason.
pub(super) fn known(
    known: &KnownBad,
    compiled: &Compiled,
    pass: &Pass,
    candidates: &[KernelConfig],
) -> Result<Vec<(KernelConfig, String)>> {
    let mut found = Vec::new();
    for config in candidates {
        found.extend(refusal(known, compiled, pass, config)?.map(|why| (*config, why)));
    }
    Ok(found)
}

/// Gives every pass that would run a kernel known to be wrong another configuration: the first candidate that is not
/// known to be wrong, or else a simpler kernel.
pub(super) fn avoid(
    known: &KnownBad,
    compiled: &Compiled,
    candidates: &[KernelConfig],
    choices: &mut KernelChoices,
) -> Result<()> {
    let plain = KernelConfig { wide: false, operands: OperandSource::Buffer, ..choices.others };
    let simple =
        [KernelConfig { wide: false, ..choices.others }, plain, KernelConfig { form: KernelForm::Naive, ..plain }];
    for pass in [&compiled.train, &compiled.evaluate, &compiled.predict].into_iter().flatten() {
        let chosen = choices.passes.get(&pass.label).unwrap_or(&choices.others);
        if refusal(known, compiled, pass, chosen)?.is_none() {
            continue;
        }
        for config in candidates.iter().chain(&simple) {
            if refusal(known, compiled, pass, config)?.is_none() {
                choices.passes.insert(pass.label.clone(), *config);
                break;
            }
        }
    }
    Ok(())
}
