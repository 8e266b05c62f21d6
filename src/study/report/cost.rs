//! What networks cost: size, arithmetic, time, and the device that the time is of.

use super::Entry;
use crate::Result;
use crate::network::Network;
use crate::study::runs::Run;
use crate::study::statistics::Sample;
use crate::study::table::NONE;
use crate::study::work::duration;
use crate::table::grouped;
use crate::text::{csv as csv_field, markdown as markdown_text};

pub const HEAD: [&str; 8] =
    ["", "parameters", "forward FLOPs an image", "training FLOPs", "epochs", "training time", "images/s", "device"];

/// What a reader of the table must know.
pub const LEGEND: &str = "FLOPs are those of the products in conv2d and dense, a multiplication and an addition counted as \
     two; those of the training are a step's, forward and backward, times the steps. Time is that of the training steps, \
     without evaluation; time and speed are mean ± standard deviation over the seeds.";

pub struct Cost {
    pub title: String,
    parameters: usize,
    /// Of an image.
    forward_flops: u64,
    /// Of a whole training.
    training_flops: Option<Sample>,
    /// Least and most.
    epochs: Option<(usize, usize)>,
    seconds: Option<Sample>,
    images_per_second: Option<Sample>,
    devices: Vec<String>,
}

impl Cost {
    pub fn of(entry: &Entry) -> Result<Cost> {
        let Entry { subject, runs, .. } = entry;
        let network = Network::open(&subject.model)?;
        let sample = |of: &dyn Fn(&Run) -> f64| Sample::of(&runs.iter().map(of).collect::<Vec<_>>());
        let training_flops = match runs.first() {
            Some(Run { record, .. }) => {
                let step = network.step_flops(record.options.batch_size.min(record.train_images))?.total();
                sample(&|run| step as f64 * run.last().step as f64)
            }
            None => None,
        };
        let images = |run: &Run| (run.record.train_images * run.epochs.len()) as f64;
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
            seconds: sample(&Run::seconds),
            images_per_second: sample(&|run| images(run) / run.seconds()),
            devices,
        })
    }

    /// In the order of [`HEAD`], without title and device.
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

/// 1.54 GFLOP, 23.7 PFLOP
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

/// `cost.csv`: a line for each network.
pub fn csv(costs: &[Cost]) -> String {
    let mut text = String::from(
        "model,parameters,forward_flops,training_flops,min_epochs,max_epochs,seconds,seconds_sd,images_per_second,\
         images_per_second_sd,device\n",
    );
    let or_nothing = |number: Option<f64>| number.map_or_else(String::new, |number| number.to_string());
    for cost in costs {
        let mean_and_sd = |sample: Option<Sample>| {
            [or_nothing(sample.map(|sample| sample.mean)), or_nothing(sample.and_then(|sample| sample.sd))]
        };
        let ([seconds, seconds_sd], [speed, speed_sd]) =
            (mean_and_sd(cost.seconds), mean_and_sd(cost.images_per_second));
        let epochs = |of: fn((usize, usize)) -> usize| or_nothing(cost.epochs.map(|epochs| of(epochs) as f64));
        let fields = [
            csv_field(&cost.title),
            cost.parameters.to_string(),
            cost.forward_flops.to_string(),
            or_nothing(cost.training_flops.map(|sample| sample.mean)),
            epochs(|(least, _)| least),
            epochs(|(_, most)| most),
            seconds,
            seconds_sd,
            speed,
            speed_sd,
            csv_field(&cost.device()),
        ];
        text += &(fields.join(",") + "\n");
    }
    text
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
