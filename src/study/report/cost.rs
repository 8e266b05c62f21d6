//! The cost of networks: parameters, arithmetic, and training time with the device.

use crate::Result;
use crate::network::Network;
use crate::study::csv::{self, Plain};
use crate::study::entry::Entry;
use crate::study::runs::FinishedRun;
use crate::study::statistics::Sample;
use crate::study::table::NONE;
use crate::study::work::duration;
use crate::table::grouped;
use crate::text::{markdown as markdown_text, spreadsheet_cell};
use serde::Serialize;

pub const HEAD: [&str; 8] =
    ["", "parameters", "forward FLOPs/image", "training FLOPs", "epochs", "training time", "images/s", "device"];

/// Explanation below the table.
pub const LEGEND: &str = "FLOPs are those of the products in conv2d and dense, where a multiplication and an addition count \
     as two. Training FLOPs are those of a step, forward and backward, times the number of steps. Training time is that of \
     the steps, without evaluation. Time and speed are mean ± standard deviation over the seeds.";

pub struct Cost {
    pub title: String,
    parameters: usize,
    /// FLOPs per image.
    forward_flops: u64,
    /// FLOPs of a whole training.
    training_flops: Option<Sample>,
    /// Smallest and largest number of epochs.
    epochs: Option<(usize, usize)>,
    seconds: Option<Sample>,
    images_per_second: Option<Sample>,
    devices: Vec<String>,
}

impl Cost {
    pub fn of(entry: &Entry) -> Result<Cost> {
        let Entry { subject, runs, .. } = entry;
        let network = Network::open(&subject.model)?;
        let sample = |of: &dyn Fn(&FinishedRun) -> f64| Sample::of(&runs.iter().map(of).collect::<Vec<_>>());
        let training_flops = match runs.first() {
            Some(FinishedRun { record, .. }) => {
                let step = network.step_flops(record.options.batch_size.min(record.train_images))?.total();
                sample(&|run| step as f64 * run.last().step as f64)
            }
            None => None,
        };
        let images = |run: &FinishedRun| (run.record.train_images * run.epochs.len()) as f64;
        let lengths = || runs.iter().map(|run| run.epochs.len());
        let mut devices: Vec<String> =
            runs.iter().flat_map(|run| run.record.devices()).map(ToString::to_string).collect();
        devices.sort();
        devices.dedup();
        Ok(Cost {
            title: subject.title.clone(),
            parameters: network.parameter_count(),
            forward_flops: network.step_flops(1)?.forward,
            training_flops,
            epochs: lengths().min().zip(lengths().max()),
            seconds: sample(&FinishedRun::seconds),
            images_per_second: sample(&|run| images(run) / run.seconds()),
            devices,
        })
    }

    /// The cells in the order of [`HEAD`], without title and device.
    pub fn cells(&self) -> [String; 6] {
        let epochs = self.epochs.map_or(NONE.to_string(), |(least, most)| {
            if least == most { least.to_string() } else { format!("{least}–{most}") }
        });
        [
            grouped(self.parameters as u64),
            grouped(self.forward_flops),
            self.training_flops.map_or(NONE.to_string(), |sample| flops(sample.mean)),
            epochs,
            self.time(),
            self.speed(),
        ]
    }

    pub fn time(&self) -> String {
        spread(self.seconds, duration)
    }

    pub fn speed(&self) -> String {
        spread(self.images_per_second, |number| grouped(number.round() as u64))
    }

    pub fn device(&self) -> String {
        if self.devices.is_empty() { NONE.to_string() } else { self.devices.join("; ") }
    }
}

fn spread(sample: Option<Sample>, text: impl Fn(f64) -> String) -> String {
    let Some(Sample { mean, sd, .. }) = sample else { return NONE.to_string() };
    sd.map_or_else(|| text(mean), |sd| format!("{} ± {}", text(mean), text(sd)))
}

/// FLOPs with a unit: 1.54 GFLOP, 23.7 PFLOP.
fn flops(count: f64) -> String {
    let units = ["", "k", "M", "G", "T", "P", "E"];
    let power = ((count.max(1.0).log10() / 3.0) as usize).min(units.len() - 1);
    let number = count / 1000f64.powi(power as i32);
    let digits = if number < 10.0 { 2 } else { usize::from(number < 100.0) };
    format!("{number:.digits$} {}FLOP", units[power])
}

pub fn markdown(costs: &[Cost]) -> String {
    let mut text = format!("|{}\n|---|{}---|\n", HEAD.map(|name| format!(" {name} |")).concat(), "---|".repeat(6));
    for cost in costs {
        let cells = cost.cells().map(|cell| format!(" {cell} |")).concat();
        text += &format!("| **{}** |{cells} {} |\n", markdown_text(&cost.title), markdown_text(&cost.device()));
    }
    text
}

/// A line of `cost.csv`.
#[derive(Serialize)]
struct Line {
    model: String,
    parameters: usize,
    forward_flops: u64,
    training_flops: Option<Plain<f64>>,
    min_epochs: Option<usize>,
    max_epochs: Option<usize>,
    seconds: Option<Plain<f64>>,
    seconds_sd: Option<Plain<f64>>,
    images_per_second: Option<Plain<f64>>,
    images_per_second_sd: Option<Plain<f64>>,
    device: String,
}

/// `cost.csv`: one line for each network.
pub fn lines(costs: &[Cost]) -> impl Iterator<Item = impl Serialize> {
    costs.iter().map(|cost| Line {
        model: spreadsheet_cell(&cost.title),
        parameters: cost.parameters,
        forward_flops: cost.forward_flops,
        training_flops: csv::mean(cost.training_flops),
        min_epochs: cost.epochs.map(|(least, _)| least),
        max_epochs: cost.epochs.map(|(_, most)| most),
        seconds: csv::mean(cost.seconds),
        seconds_sd: csv::sd(cost.seconds),
        images_per_second: csv::mean(cost.images_per_second),
        images_per_second_sd: csv::sd(cost.images_per_second),
        device: spreadsheet_cell(&cost.device()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_has_three_digits_and_a_unit() {
        let cases = [
            (0.0, "0.00 FLOP"),
            (999.0, "999 FLOP"),
            (1540.0, "1.54 kFLOP"),
            (23.7e9, "23.7 GFLOP"),
            (1e15, "1.00 PFLOP"),
            (4.56e23, "456000 EFLOP"),
        ];
        for (count, text) in cases {
            assert_eq!(flops(count), text);
        }
    }
}
