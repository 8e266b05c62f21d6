//! The result of a grid search over learning rates and momenta: the folder `choice/` of a study.

use super::csv::{self, Plain};
use crate::error::{Error, Result};
use crate::files::{Links, check_own_folder, read_own_text_if_there, replace_own_file};
use crate::text::{counted, markdown, markdown_code, toml_problem};
use crate::train::ScheduleKind;
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

/// The grid: each of these learning rates with each of [`MOMENTA`].
pub const LEARNING_RATES: [f32; 4] = [0.01, 0.03, 0.1, 0.3];
pub const MOMENTA: [f32; 3] = [0.0, 0.5, 0.9];

/// Name of the folder in the folder of the study.
pub(super) const FOLDER: &str = "choice";

/// The result of the grid search.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// The network that was trained.
    pub model: String,
    /// The data that it was trained on.
    pub data: String,
    /// Number of images held out of the training set.
    pub held_out: usize,
    /// Epochs of each training.
    pub epochs: usize,
    /// Seed of each training.
    pub seed: u64,
    /// Older records do not have this field; their rates were constant.
    #[serde(default = "constant")]
    pub schedule: ScheduleKind,
    /// The best learning rate.
    pub learning_rate: f32,
    /// The best momentum.
    pub momentum: f32,
    /// All points of the grid.
    pub tried: Vec<Tried>,
}

fn constant() -> ScheduleKind {
    ScheduleKind::Constant
}

/// A point of the grid.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tried {
    /// Learning rate that was tried.
    pub learning_rate: f32,
    /// Momentum that was tried.
    pub momentum: f32,
    /// The result on the images held out; `None` if the loss or a weight became non-finite.
    pub reached: Option<Reached>,
}

/// The result of a point of the grid.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reached {
    /// Fraction of the images held out that were classified correctly.
    pub accuracy: f64,
    /// Mean loss over the images held out.
    pub loss: f64,
}

/// A line of `choice.csv`; fields of a point that diverged are empty.
#[derive(Serialize)]
struct Line {
    learning_rate: Plain<f32>,
    momentum: Plain<f32>,
    /// In %.
    accuracy: Option<Plain<f64>>,
    loss: Option<Plain<f64>>,
    chosen: bool,
}

/// The point with the highest accuracy or, among equals, the lowest loss.
pub(super) fn best(tried: &[Tried]) -> Option<&Tried> {
    let rank = |tried: &Tried| tried.reached.map(|reached| (reached.accuracy, -reached.loss));
    tried.iter().filter(|tried| tried.reached.is_some()).reduce(|a, b| if rank(b) > rank(a) { b } else { a })
}

impl Choice {
    /// Reads the result of a study, if it has one.
    pub fn read(out: &Path) -> Result<Option<Choice>> {
        let path = out.join(FOLDER).join("choice.toml");
        let Some(text) = read_own_text_if_there(&path, Links::Follow)? else { return Ok(None) };
        let said = |error: toml::de::Error| {
            let problem = toml_problem(&error);
            Error::file(&path, format!("not a choice written by a study: {problem}"))
        };
        toml::from_str(&text).map(Some).map_err(said)
    }

    pub(super) fn write(&self, out: &Path) -> Result<()> {
        let folder = out.join(FOLDER);
        check_own_folder(&folder)?;
        replace_own_file(&folder.join("choice.md"), |file| file.write_all(self.markdown().as_bytes()))?;
        replace_own_file(&folder.join("choice.csv"), |file| csv::write(file, self.lines()))?;
        // The record is the file that is read back, so it is written last.
        let record = folder.join("choice.toml");
        let text = toml::to_string(self).map_err(|error| Error::file(&record, error.to_string()))?;
        replace_own_file(&record, |file| file.write_all(text.as_bytes()))
    }

    /// How the values were chosen, in two sentences, with the network between backticks.
    pub fn story(&self) -> String {
        let plain = |text: &str| text.replace('`', "'");
        self.story_of(&format!("`{}`", plain(&self.model)), &plain(&self.data))
    }

    fn story_of(&self, model: &str, data: &str) -> String {
        format!(
            "Learning rate {} and momentum {} were chosen by the accuracy of {model} on {} images held out of the training set \
             of {data}, after {} from seed {}, with rates that were {}. The test set was not used.",
            self.learning_rate,
            self.momentum,
            self.held_out,
            counted(self.epochs, "epoch"),
            self.seed,
            self.schedule.words()
        )
    }

    /// One row for each learning rate, one cell for each momentum: accuracy in % and loss, and whether it was chosen.
    pub fn grid(&self) -> Vec<(f32, Vec<(String, bool)>)> {
        let cell = |rate: f32, momentum: f32| {
            let tried = self.tried.iter().find(|tried| (tried.learning_rate, tried.momentum) == (rate, momentum));
            let is_chosen = (rate, momentum) == (self.learning_rate, self.momentum);
            let text = match tried.map(|tried| tried.reached) {
                Some(Some(reached)) => format!("{:.2} ({:.4})", reached.accuracy * 100.0, reached.loss),
                Some(None) => "diverged".to_string(),
                None => "–".to_string(),
            };
            (text, is_chosen)
        };
        LEARNING_RATES
            .iter()
            .map(|rate| (*rate, MOMENTA.iter().map(|momentum| cell(*rate, *momentum)).collect()))
            .collect()
    }

    fn markdown(&self) -> String {
        let mut text = format!(
            "# Learning rate and momentum\n\n{}\n\n| learning rate |",
            self.story_of(&markdown_code(&self.model, false), &markdown(&self.data))
        );
        text.extend(MOMENTA.iter().map(|momentum| format!(" momentum {momentum} |")));
        text += &format!("\n|---|{}\n", "---|".repeat(MOMENTA.len()));
        for (rate, cells) in self.grid() {
            let bold = |(cell, is_chosen): (String, bool)| {
                if is_chosen { format!(" **{cell}** |") } else { format!(" {cell} |") }
            };
            let cells: String = cells.into_iter().map(bold).collect();
            let _ = writeln!(text, "| {rate} |{cells}");
        }
        text + "\nAccuracy in % and loss on the images held out.\n"
    }

    fn lines(&self) -> impl Iterator<Item = Line> {
        self.tried.iter().map(|Tried { learning_rate, momentum, reached }| Line {
            learning_rate: Plain(*learning_rate),
            momentum: Plain(*momentum),
            accuracy: reached.map(|reached| Plain(reached.accuracy * 100.0)),
            loss: reached.map(|reached| Plain(reached.loss)),
            chosen: (*learning_rate, *momentum) == (self.learning_rate, self.momentum),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tried(learning_rate: f32, momentum: f32, reached: Option<(f64, f64)>) -> Tried {
        Tried { learning_rate, momentum, reached: reached.map(|(accuracy, loss)| Reached { accuracy, loss }) }
    }

    fn choice() -> Choice {
        let tried = vec![
            tried(0.01, 0.9, Some((0.98, 0.07))),
            tried(0.03, 0.9, Some((0.99, 0.05))),
            tried(0.1, 0.5, Some((0.99, 0.04))),
            tried(0.3, 0.9, None),
        ];
        let best = best(&tried).unwrap().clone();
        Choice {
            model: "case2".into(),
            data: "data/mnist".into(),
            held_out: 5000,
            epochs: 3,
            seed: 1,
            schedule: ScheduleKind::Cosine,
            learning_rate: best.learning_rate,
            momentum: best.momentum,
            tried,
        }
    }

    #[test]
    fn the_highest_accuracy_is_chosen_and_the_loss_decides_between_equals() {
        let choice = choice();
        assert_eq!((choice.learning_rate, choice.momentum), (0.1, 0.5));
        assert_eq!(best(&[tried(0.3, 0.9, None)]), None);
    }

    #[test]
    fn a_choice_is_written_for_people_and_read_back() {
        let place = tempfile::tempdir().unwrap();
        assert_eq!(Choice::read(place.path()).unwrap(), None);
        std::fs::create_dir(place.path().join(FOLDER)).unwrap();
        choice().write(place.path()).unwrap();
        assert_eq!(Choice::read(place.path()).unwrap(), Some(choice()));
        let read = |name: &str| std::fs::read_to_string(place.path().join(FOLDER).join(name)).unwrap();
        let text = read("choice.md");
        assert!(text.contains("| 0.1 | – | **99.00 (0.0400)** | – |") && text.contains("diverged"), "{text}");
        let csv = read("choice.csv");
        assert!(csv.contains("\n0.1,0.5,99,0.04,true\n") && csv.contains("\n0.3,0.9,,,false\n"), "{csv}");
        std::fs::write(place.path().join(FOLDER).join("choice.toml"), "held_out = 'many'").unwrap();
        let error = Choice::read(place.path()).unwrap_err().to_string();
        assert!(error.contains("choice.toml: not a choice"), "{error}");
    }
}
