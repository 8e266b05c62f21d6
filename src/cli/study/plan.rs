//! What a study trains, with every seed: the paper's cases and the systems that it compares itself with. Other networks are
//! in `models.rs`.

use super::paper::{self, MEASURES, Printed};
use super::runs::{Job, Run};
use super::table::Row;
use crate::cli::output::counted;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::path::Path;
use std::str::FromStr;

/// `--cases`: numbers from 1 to 6, in order.
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

/// Images a step.
pub const BATCH_SIZE: usize = 100;

/// How the learning rate changes from step to step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// Not at all
    #[default]
    Constant,
    /// Down to 0 along half a cosine
    Cosine,
}

impl Schedule {
    /// As `--schedule` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Schedule::Constant => "constant",
            Schedule::Cosine => "cosine",
        }
    }
}

/// How the paper's networks are trained.
#[derive(Clone, Copy)]
pub struct Descent {
    pub learning_rate: f32,
    pub momentum: f32,
    pub schedule: Schedule,
}

impl Descent {
    /// In the words of a report: `learning rate 0.1, falling along half a cosine, momentum 0.5`.
    pub fn words(self) -> String {
        let falls = match self.schedule {
            Schedule::Constant => "",
            Schedule::Cosine => ", falling to 0 along half a cosine",
        };
        format!("learning rate {}{falls}, momentum {}", self.learning_rate, self.momentum)
    }

    /// As arguments of `train`.
    pub fn settings(self) -> Vec<OsString> {
        vec![
            format!("--batch-size={BATCH_SIZE}").into(),
            format!("--learning-rate={}", self.learning_rate).into(),
            format!("--momentum={}", self.momentum).into(),
            format!("--schedule={}", self.schedule.name()).into(),
        ]
    }
}

/// A network and how it is trained, with any seed.
#[derive(Clone)]
pub struct Subject {
    /// In names of files: `case2`, `case2-quadratic`.
    pub key: String,
    /// For people.
    pub title: String,
    pub model: String,
    pub epochs: usize,
    /// What else `train` is told, as its arguments.
    pub settings: Vec<OsString>,
    /// What is reported of it elsewhere, by [`MEASURES`].
    pub printed: [Option<Printed>; MEASURES.len()],
    /// What it is.
    pub about: String,
}

/// The paper's cases of these numbers.
pub fn cases(numbers: &[usize], epochs: usize, descent: Descent) -> Vec<Subject> {
    let case = |number: &usize| {
        let row = &paper::CASES[number - 1];
        Subject {
            key: format!("case{number}"),
            title: format!("Case {number}"),
            model: format!("case{number}"),
            epochs,
            settings: descent.settings(),
            printed: row.printed.map(Some),
            about: row.layers.to_string(),
        }
    };
    numbers.iter().map(case).collect()
}

/// The systems that the paper compares itself with.
pub fn comparisons(epochs: usize, ann_epochs: usize, descent: Descent) -> Vec<Subject> {
    // Of the accuracy at the end.
    let reported = |percent: f64| {
        let printed = Printed { value: percent, epoch: None, mark: "", is_credible: true };
        std::array::from_fn(|column| (MEASURES[column].key == "final_val").then_some(printed))
    };
    vec![
        Subject {
            key: "ann".into(),
            title: "ANN".into(),
            model: "mlp".into(),
            epochs: ann_epochs,
            settings: descent.settings(),
            printed: reported(97.32),
            about: format!(
                "a feed-forward network of four hidden layers with ReLU (512, 256, 128 and 64 units; the paper prints no \
                 widths), {}, against the 97.32 % that Siddique et al. report after 50",
                counted(ann_epochs, "epoch")
            ),
        },
        Subject {
            key: "lenet5".into(),
            title: "LeNet-5".into(),
            model: "lenet5".into(),
            epochs,
            settings: descent.settings(),
            printed: reported(99.05),
            about: "with ReLU, max pooling and softmax, against the error of 0.95 % that LeCun et al. report (1998); the paper \
                    gives no number"
                .into(),
        },
        Subject {
            key: "case2-quadratic".into(),
            title: "Case 2, quadratic".into(),
            model: "case2".into(),
            epochs,
            settings: [descent.settings(), vec!["--loss=quadratic".into()]].concat(),
            // Its loss is another quantity than the one that is printed.
            printed: std::array::from_fn(|column| {
                MEASURES[column].is_accuracy.then_some(paper::CASES[1].printed[column])
            }),
            about: "case 2 with the quadratic cost of equation 1 in place of cross-entropy, beside what is printed of case 2; \
                    its test loss is that cost"
                .into(),
        },
    ]
}

impl Subject {
    /// Its trainings, one a seed.
    pub fn jobs(&self, seeds: u64, out: &Path) -> Vec<Job> {
        (1..=seeds).map(|seed| self.job(seed, out)).collect()
    }

    /// What its finished runs come to.
    pub fn row(&self, runs: &[Run]) -> Row {
        Row::new(&self.key, &self.title, runs, self.printed)
    }

    /// Its training with one seed.
    pub fn job(&self, seed: u64, out: &Path) -> Job {
        Job {
            folder: out.join("runs").join(format!("{}-seed{seed}", self.key)),
            title: format!("{} seed {seed}", self.key),
            model: self.model.clone(),
            epochs: self.epochs,
            seed,
            settings: self.settings.clone(),
        }
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
        let descent = Descent { learning_rate: 0.1, momentum: 0.9, schedule: Schedule::Constant };
        let subjects = [cases(&[1, 2, 3, 4, 5, 6], 15, descent), comparisons(15, 50, descent)].concat();
        let jobs: Vec<_> = subjects.iter().flat_map(|subject| subject.jobs(5, Path::new("x"))).collect();
        let mut folders: Vec<_> = jobs.iter().map(|job| job.folder.clone()).collect();
        folders.sort();
        folders.dedup();
        assert_eq!(folders.len(), 9 * 5);
        assert!(jobs.iter().all(|job| shadegrad::network::Network::open(&job.model).is_ok()));
    }
}
