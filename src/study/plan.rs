//! The trainings of a study, for every seed: the paper's networks and the systems that it compares them with. Other
//! networks are in `models.rs`.

use super::paper::{self, MEASURES, Printed};
use super::runs::{Common, FinishedRun, Job};
use super::table::Row;
use crate::error::Result;
use crate::network::Network;
use crate::ops::softmax::Cost;
use crate::run::{RunOptions, Validation};
use crate::text::counted;
use crate::train::{BatchRecipe, OptimizerRecipe, Recipe, ScheduleKind, ScheduleRecipe, TrainOptions};
use std::path::Path;
use std::str::FromStr;

/// The paper's networks, by their numbers from 1 to 6, in ascending order.
#[derive(Clone, Debug, PartialEq)]
pub struct Cases(pub Vec<usize>);

impl FromStr for Cases {
    type Err = String;

    fn from_str(text: &str) -> Result<Cases, String> {
        let wrong = || "expected cases from 1 to 6, as in 2 or 1-6 or 1,3-5".to_string();
        let number = |text: &str| text.trim().parse().ok().filter(|case| (1..=paper::CASES.len()).contains(case));
        let mut cases = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (number(first).ok_or_else(wrong)?, number(last).ok_or_else(wrong)?);
            if first > last {
                return Err(wrong());
            }
            cases.extend(first..=last);
        }
        cases.sort_unstable();
        cases.dedup();
        Ok(Cases(cases))
    }
}

/// Images per step.
pub(super) const BATCH_SIZE: usize = 100;

/// Gradient descent as used for the paper's networks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Descent {
    /// Learning rate, eta.
    pub learning_rate: f32,
    /// Momentum.
    pub momentum: f32,
    /// Learning-rate schedule.
    pub schedule: ScheduleKind,
}

/// Default training of the paper's networks: the learning rate and momentum that were best on 5,000 images held out of
/// MNIST's training set, and the schedule that is better on those (`assets/study/choice/`).
pub const DESCENT: Descent = Descent { learning_rate: 0.1, momentum: 0.5, schedule: ScheduleKind::Cosine };

impl Descent {
    /// Description for reports: `learning rate 0.1, falling to 0 along half a cosine, momentum 0.5`.
    pub(super) fn words(self) -> String {
        let falls = match self.schedule {
            ScheduleKind::Constant => String::new(),
            schedule => format!(", {}", schedule.words()),
        };
        format!("learning rate {}{falls}, momentum {}", self.learning_rate, self.momentum)
    }

    /// The corresponding training options.
    pub(super) fn recipe(self) -> Recipe {
        let Descent { learning_rate, momentum, schedule } = self;
        Recipe {
            batch: BatchRecipe { batch_size: Some(BATCH_SIZE), ..BatchRecipe::default() },
            optimizer: OptimizerRecipe {
                learning_rate: Some(learning_rate),
                momentum: Some(momentum),
                ..OptimizerRecipe::default()
            },
            schedule: ScheduleRecipe { schedule: Some(schedule), ..ScheduleRecipe::default() },
            ..Recipe::default()
        }
    }
}

/// A network and how it is trained, for any seed.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Name in files: `case2`, `case2-quadratic`.
    pub key: String,
    /// Title in reports.
    pub title: String,
    /// The preset or file of the network.
    pub model: String,
    /// The network.
    pub network: Network,
    /// Number of epochs.
    pub epochs: usize,
    /// All other training options.
    pub recipe: Recipe,
    /// The loss function, if it is not the network's own.
    pub loss: Option<Cost>,
    /// The set for evaluation after each epoch.
    pub validation: Validation,
    /// The published numbers, in the order of [`MEASURES`].
    pub(super) printed: [Option<Printed>; MEASURES.len()],
    /// Description.
    pub about: String,
}

/// The paper's networks with these numbers.
pub(super) fn cases(numbers: &[usize], epochs: usize, descent: Descent) -> Result<Vec<Subject>> {
    let case = |number: &usize| {
        let row = &paper::CASES[number - 1];
        Ok(Subject {
            key: format!("case{number}"),
            title: format!("Case {number}"),
            model: format!("case{number}"),
            network: Network::open(&format!("case{number}"))?,
            epochs,
            recipe: descent.recipe(),
            loss: None,
            validation: Validation::Test,
            printed: row.printed.map(Some),
            about: row.layers.to_string(),
        })
    };
    numbers.iter().map(case).collect()
}

/// The systems that the paper compares its networks with.
pub(super) fn comparisons(epochs: usize, ann_epochs: usize, descent: Descent) -> Result<Vec<Subject>> {
    // The number published for the final accuracy.
    let reported = |percent: f64| {
        let printed = Printed { value: percent, epoch: None, mark: "", is_credible: true };
        std::array::from_fn(|column| (MEASURES[column].key == "final_val").then_some(printed))
    };
    Ok(vec![
        Subject {
            key: "ann".into(),
            title: "ANN".into(),
            model: "mlp".into(),
            network: Network::open("mlp")?,
            validation: Validation::Test,
            epochs: ann_epochs,
            recipe: descent.recipe(),
            loss: None,
            printed: reported(97.32),
            about: format!(
                "a feed-forward network of four hidden layers with ReLU (512, 256, 128 and 64 units; the paper gives no \
                 widths), {}, compared with the 97.32 % that Siddique et al. report after 50",
                counted(ann_epochs, "epoch")
            ),
        },
        Subject {
            key: "lenet5".into(),
            title: "LeNet-5".into(),
            model: "lenet5".into(),
            network: Network::open("lenet5")?,
            validation: Validation::Test,
            epochs,
            recipe: descent.recipe(),
            loss: None,
            printed: reported(99.05),
            about: "with ReLU, max pooling and softmax, compared with the error of 0.95 % that LeCun et al. report (1998); the paper \
                    gives no number"
                .into(),
        },
        Subject {
            key: "case2-quadratic".into(),
            title: "Case 2, quadratic".into(),
            model: "case2".into(),
            network: Network::open("case2")?,
            validation: Validation::Test,
            epochs,
            recipe: descent.recipe(),
            loss: Some(Cost::Quadratic),
            // The loss differs from the one that the paper prints.
            printed: std::array::from_fn(|column| {
                MEASURES[column].is_accuracy.then_some(paper::CASES[1].printed[column])
            }),
            about: "case 2 with the quadratic cost of equation 1 in place of cross-entropy, compared with the numbers of case 2; \
                    its test loss is that cost"
                .into(),
        },
    ])
}

impl Subject {
    /// Its trainings, one for each seed.
    pub(super) fn jobs(&self, seeds: u64, out: &Path, common: &Common) -> Result<Vec<Job>> {
        (1..=seeds).map(|seed| self.job(seed, out, common)).collect()
    }

    /// The row of its finished runs.
    pub(super) fn row(&self, runs: &[FinishedRun]) -> Row {
        Row::new(&self.key, &self.title, runs, self.printed)
    }

    /// All of its training options, with this seed.
    pub(super) fn training(&self, seed: u64) -> Result<TrainOptions> {
        let mut recipe = self.recipe.clone();
        recipe.length.epochs = Some(self.epochs);
        let mut training = recipe.complete()?;
        training.seed = seed;
        training.step.loss = self.loss;
        Ok(training)
    }

    /// Its training with one seed.
    pub(super) fn job(&self, seed: u64, out: &Path, common: &Common) -> Result<Job> {
        let folder = out.join("runs").join(format!("{}-seed{seed}", self.key));
        Ok(Job {
            title: format!("{} seed {seed}", self.key),
            options: RunOptions {
                model: self.model.clone(),
                network: self.network.clone(),
                training: self.training(seed)?,
                validation: self.validation,
                out: Some(folder.clone()),
                ..common.run_options()?
            },
            folder,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_are_numbers_and_ranges() {
        let parse = |text: &str| text.parse::<Cases>().map(|cases| cases.0);
        assert_eq!(parse("1-6").unwrap(), [1, 2, 3, 4, 5, 6]);
        assert_eq!(parse("5, 1-2,2").unwrap(), [1, 2, 5]);
        for wrong in ["", "0", "7", "3-1", "1-", "-1", "two", "1,,2", "1-2-3"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn no_two_trainings_share_a_folder_or_differ_from_their_networks() {
        let descent = Descent { learning_rate: 0.1, momentum: 0.9, schedule: ScheduleKind::Constant };
        let subjects =
            [cases(&[1, 2, 3, 4, 5, 6], 15, descent).unwrap(), comparisons(15, 50, descent).unwrap()].concat();
        let common = Common::new(crate::data::Source::Builtin { seed: 1 }, None);
        let jobs: Vec<_> =
            subjects.iter().flat_map(|subject| subject.jobs(5, Path::new("x"), &common).unwrap()).collect();
        let mut folders: Vec<_> = jobs.iter().map(|job| job.folder.clone()).collect();
        folders.sort();
        folders.dedup();
        assert_eq!(folders.len(), 9 * 5);
        assert!(jobs.iter().all(|job| job.options.check().is_ok()));
    }
}
