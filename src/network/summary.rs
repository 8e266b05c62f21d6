//! `shadegrad summary`: the layers of a network, and the cost of a training step.

use super::compile::Compiled;
use super::options::CompileOptions;
use super::{Network, NetworkLayer, OptimizerState};
use crate::error::Result;
use crate::ops::softmax::Cost;
use crate::plan::Pass;
use crate::table::{Align, Page, Table, bytes, grouped};
use std::collections::HashMap;

impl Network {
    /// A table of the layers, and totals for a training step with these options.
    ///
    /// FLOPs are those of the products in conv2d and dense, as given by their compiled passes; a multiplication and an
    /// addition count as two. Pooling, activations, loss and update are not counted.
    pub fn summary(&self, step: &CompileOptions) -> Result<Page> {
        let batch = step.batch;
        let compiled = self.compile(&CompileOptions { train_images: batch, ..step.clone() })?;
        let [height, width, channels] = self.input;
        let loss = match self.loss {
            Cost::CrossEntropy => "cross-entropy",
            Cost::Quadratic => "quadratic cost",
        };
        let mut page = Page::default();
        page.text(format!(
            "{}: images of {height}x{width}x{channels}, {} classes, {loss}, {} weights\n\n",
            self.name,
            self.classes(),
            self.initializer.name()
        ));
        page.table(self.layer_table(&compiled, batch));
        page.text(format!("\n{}", cost(&compiled, step)));
        if !self.recipe.is_empty() {
            page.text(format!("\nTraining defaults: {}\n", self.recipe));
        }
        Ok(page)
    }

    /// The summary as JSON: layers, parameters, and the cost of a training step in FLOPs and bytes.
    ///
    /// # Errors
    ///
    /// Those of [`Network::compile`].
    pub fn summary_json(&self, step: &CompileOptions) -> Result<serde_json::Value> {
        let batch = step.batch;
        let compiled = self.compile(&CompileOptions { train_images: batch, ..step.clone() })?;
        let flops = StepFlops::of(&compiled);
        let forward = forward_flops(&compiled);
        let layers =
            self.layers.iter().zip(self.learned()).map(|(NetworkLayer { name, layer, output, .. }, learned)| {
                let flops = forward.get(name.as_str()).copied().unwrap_or(0) / batch as u64;
                serde_json::json!({
                    "name": name, "kind": layer.kind(), "settings": layer.describe(), "output": output.to_string(),
                    "parameters": learned, "forward_flops_per_image": flops,
                })
            });
        Ok(serde_json::json!({
            "name": self.name, "input": self.input, "classes": self.classes(), "loss": self.loss.name(),
            "initializer": self.initializer.name(), "layers": layers.collect::<Vec<_>>(),
            "parameters": self.parameter_count(),
            "step": {"batch_size": batch, "forward_flops": flops.forward, "backward_flops": flops.backward},
            "training": self.recipe.texts().collect::<std::collections::BTreeMap<_, _>>(),
        }))
    }

    /// FLOPs of a training step of `batch` images, counted as in the summary.
    pub fn step_flops(&self, batch: usize) -> Result<StepFlops> {
        let options = CompileOptions { batch, train_images: batch, ..Default::default() };
        Ok(StepFlops::of(&self.compile(&options)?))
    }

    /// Learned parameters of each layer.
    fn learned(&self) -> Vec<u64> {
        let mut learned = vec![0; self.layers.len()];
        for of in self.parameters().iter().filter(|of| of.parameter.is_learned) {
            learned[of.layer] += of.parameter.len() as u64;
        }
        learned
    }

    fn layer_table(&self, compiled: &Compiled, batch: usize) -> Table {
        use Align::{Left, Right};
        let heading = ["#", "layer", "kind", "settings", "output", "parameters", "forward FLOPs/image"];
        let mut table = Table::new(heading, [Right, Left, Left, Left, Right, Right, Right]);
        let unless_zero = |number: u64| if number == 0 { String::new() } else { grouped(number) };
        let (learned, forward) = (self.learned(), forward_flops(compiled));
        let mut total = 0;
        for (index, NetworkLayer { name, layer, output, .. }) in self.layers.iter().enumerate() {
            let flops = forward.get(name.as_str()).copied().unwrap_or(0) / batch as u64;
            total += flops;
            table.row([
                index.to_string(),
                name.clone(),
                layer.kind().to_string(),
                layer.describe(),
                output.to_string(),
                unless_zero(learned[index]),
                unless_zero(flops),
            ]);
        }
        let empty = String::new;
        let all = grouped(learned.iter().sum());
        table.row([empty(), "total".into(), empty(), empty(), empty(), all, grouped(total)]);
        table
    }
}

/// FLOPs of the forward passes of a batch, by layer.
fn forward_flops(compiled: &Compiled) -> HashMap<&str, u64> {
    let mut forward: HashMap<&str, u64> = HashMap::new();
    for pass in &compiled.train {
        if let Some(layer) = pass.label.strip_suffix(".forward") {
            *forward.entry(layer).or_default() += pass.op.flops();
        }
    }
    forward
}

/// FLOPs of a training step.
#[derive(Clone, Copy, Debug)]
pub struct StepFlops {
    /// FLOPs of the forward passes.
    pub forward: u64,
    /// FLOPs of the backward passes.
    pub backward: u64,
}

impl StepFlops {
    fn of(compiled: &Compiled) -> StepFlops {
        let (forward, backward): (Vec<_>, Vec<_>) =
            compiled.train.iter().partition(|pass| pass.label.ends_with(".forward"));
        StepFlops { forward: flops(forward.into_iter()), backward: flops(backward.into_iter()) }
    }

    /// Total of the forward and backward passes.
    pub fn total(&self) -> u64 {
        self.forward + self.backward
    }
}

fn flops<'a>(passes: impl Iterator<Item = &'a Pass>) -> u64 {
    passes.map(|pass| pass.op.flops()).sum()
}

/// What a training step computes and how much memory it uses.
fn cost(compiled: &Compiled, step: &CompileOptions) -> String {
    let flops = StepFlops::of(compiled);
    let mut text = format!("A training step of {} images\n", step.batch);
    text += &format!(
        "  computes {} FLOPs: {} forward, {} backward (the first layer's input gradient is not needed)\n",
        grouped(flops.total()),
        grouped(flops.forward),
        grouped(flops.backward)
    );
    let size = |wanted: &dyn Fn(&str) -> bool| {
        let storages = compiled.plan.storages.iter().filter(|storage| wanted(&storage.name));
        storages.map(|storage| 4 * storage.len as u64).sum::<u64>()
    };
    let mut beside = vec!["gradients"];
    beside.extend(OptimizerState::needed(&step.step).into_iter().map(OptimizerState::name));
    let learned = size(&|name| name == "weights" || beside.contains(&name));
    let data_set = size(&|name| name.starts_with("train.") || name.starts_with("score."));
    let all = size(&|_| true) - data_set;
    text += &format!(
        "  uses {}: {} for weights, {}; {} for activations and their gradients, which share memory\n",
        bytes(all),
        bytes(learned),
        beside.join(", ").replace('_', " "),
        bytes(all - learned)
    );
    text += "  plus the data set, and textures and scratch memory on some devices (see `plan`)\n";
    text
}
