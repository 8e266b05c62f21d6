//! The operations to verify, each at a shape: edge cases, the passes of a network, and shapes drawn at random.

use super::only::{Only, Shape};
use super::run::{Extent, VerifyOptions};
use crate::error::Result;
use crate::network::{CompileOptions, Network};
use crate::ops::{self, Op};
use crate::plan::Pass;
use std::collections::BTreeMap;

/// Edge cases of each pass in a quick verification.
const QUICK: usize = 3;

/// Most multiplications and additions of a network's largest pass in a quick verification, which takes smaller batches
/// to stay below this: the reference computes some hundred million per second.
const QUICK_FLOPS: u64 = 100_000_000;

/// An operation at a shape.
pub(super) struct Item {
    /// For example `conv2d.forward`, or `case1/conv1.forward` for a pass of a network.
    pub name: String,
    pub shape: Shape,
    pub op: Box<dyn Op>,
}

impl Item {
    /// Whether the options select it.
    fn is_wanted(&self, only: Option<&Only>) -> bool {
        only.is_none_or(|only| only.takes(&self.name) && only.shape.is_none_or(|shape| shape == self.shape))
    }
}

/// The operations that the options select, in the order in which they are verified, and notes for the report.
/// `random_shapes` of the passes are at shapes drawn at random.
pub(super) fn items(options: &VerifyOptions, random_shapes: usize) -> Result<(Vec<Item>, Vec<String>)> {
    let (mut items, notes) = listed(options)?;
    items.extend(random(options, random_shapes));
    items.retain(|item| item.is_wanted(options.only.as_ref()));
    Ok((items, notes))
}

/// Passes at shapes drawn at random: `count` of them, or the one that the options name.
fn random(options: &VerifyOptions, count: usize) -> Vec<Item> {
    let item = |(number, op): (usize, Box<dyn Op>)| {
        let name = op.name().to_string();
        Item { name, shape: Shape::Random(number), op }
    };
    match options.only.as_ref().and_then(|only| only.shape) {
        Some(Shape::Random(number)) => ops::drawn_at(options.seed, number).map(|op| item((number, op))).collect(),
        Some(Shape::Listed(_)) => Vec::new(),
        None => ops::drawn(options.seed, count).map(item).collect(),
    }
}

/// All edge cases and the passes of the network, in the order in which they are verified, and notes for the report.
fn listed(options: &VerifyOptions) -> Result<(Vec<Item>, Vec<String>)> {
    let mut counts: BTreeMap<&'static str, usize> = BTreeMap::new();
    let mut items = Vec::new();
    for op in ops::edge_cases() {
        let count = counts.entry(op.name()).or_default();
        // A shape selected by its number may be any of the list.
        let numbered = options.only.as_ref().is_some_and(|only| only.shape.is_some());
        if options.extent != Extent::Quick || numbered || *count < QUICK {
            items.push(Item { name: op.name().to_string(), shape: Shape::Listed(*count), op });
        }
        *count += 1;
    }
    let mut notes = Vec::new();
    if let Some((network, step)) = &options.model {
        let (passes, taken) = passes(network, step, options.extent)?;
        if taken < step.batch {
            notes.push(format!("{}: a quick verification takes batches of {taken} only", network.name));
        }
        let of = |pass: Pass| Item {
            name: format!("{}/{}", network.name, pass.label),
            shape: Shape::Listed(0),
            op: pass.op,
        };
        items.extend(passes.into_iter().map(of));
    }
    Ok((items, notes))
}

/// The passes of a training step, and the batch size that they are compiled for.
fn passes(network: &Network, step: &CompileOptions, extent: Extent) -> Result<(Vec<Pass>, usize)> {
    let compile = |batch| network.compile(&CompileOptions { batch, train_images: 2 * batch, ..step.clone() });
    let mut taken = step.batch;
    let mut compiled = compile(taken)?;
    let most = compiled.train.iter().map(|pass| pass.op.flops()).max().unwrap_or(0);
    if extent == Extent::Quick && most > QUICK_FLOPS {
        taken = ((taken as u64 * QUICK_FLOPS / most) as usize).max(1);
        compiled = compile(taken)?;
    }
    Ok((compiled.train, taken))
}
