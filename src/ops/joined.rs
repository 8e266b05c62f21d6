//! Passes that a device computes together: one kernel for several passes of a plan.
//!
//! On a GPU a dispatch takes a few microseconds however little it does, and what one pass stores for the next has to go
//! through memory. A plan does not depend on the device, so it lists passes one by one. When a device records them, it
//! may join passes that follow each other to one: a pass of its own, with a reference that runs the passes that it
//! stands for, so that [`verify`](mod@crate::verify) compares one kernel with all of them.
//!
//! Tensors between joined passes stay unwritten. So passes are joined only if no other pass of the section reads these.

use super::{ChooseKernel, KernelForm, classifier, conv2d};
use crate::plan::{Pass, Plan};

/// A rule: joins some passes at the start of a list and gives their number; none if they are not of its kind.
type Rule = fn(&Plan, &[Pass]) -> Option<(usize, Pass)>;

/// All rules, the first that applies counts.
const RULES: &[Rule] = &[classifier::Loss::join, conv2d::PooledForward::join, conv2d::PooledBackwardWeight::join];

/// Some passes that follow each other, and the pass that computes all of them.
pub struct Joined<'a> {
    /// The passes of the plan.
    pub passes: &'a [Pass],
    joined: Option<Pass>,
}

impl Joined<'_> {
    /// The pass that is recorded.
    pub fn pass(&self) -> &Pass {
        self.joined.as_ref().unwrap_or(&self.passes[0])
    }
}

// ANCHOR: joined
/// The passes of a section as a device with these configurations runs them. `divides` tells whether something else
/// happens before the pass of this index, so that it must not be joined to the pass before it.
pub fn joined<'a>(
    plan: &Plan,
    passes: &'a [Pass],
    config: &impl ChooseKernel,
    divides: impl Fn(usize) -> bool,
) -> Vec<Joined<'a>> {
    let mut all = Vec::new();
    let mut first = 0;
    while first < passes.len() {
        let end = (first + 1..passes.len()).find(|index| divides(*index)).unwrap_or(passes.len());
        let here = &passes[first..end];
        // Software drivers take little time for a dispatch, but much for barriers in workgroups.
        let gains = config.config(&here[0].label).form == KernelForm::Staged;
        let found = RULES.iter().filter(|_| gains).find_map(|rule| rule(plan, here));
        let found = found.filter(|(count, pass)| leaves_nothing_out(pass, here.split_at(*count), &passes[end..]));
        let (count, joined) = found.map_or((1, None), |(count, pass)| (count, Some(pass)));
        all.push(Joined { passes: &here[..count], joined });
        first += count;
    }
    all
}
// ANCHOR_END: joined

/// Whether a joined pass writes all that passes behind it read.
fn leaves_nothing_out(joined: &Pass, (parts, here): (&[Pass], &[Pass]), behind: &[Pass]) -> bool {
    let mut left_out = parts.iter().flat_map(|pass| &pass.outputs).filter(|id| !joined.outputs.contains(id));
    left_out.all(|id| here.iter().chain(behind).all(|pass| !pass.inputs.contains(id)))
}
