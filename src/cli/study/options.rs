//! The options of `shadegrad study`.

use super::plan::{self, Cases, Descent, Schedule, Subject};
use super::runs::{Common, Job};
use super::{DESCENT, choose, models, paper};
use crate::cli::train::{self, Validation};
use crate::cli::{DataOption, DeviceOption, model_help};
use clap::Args;
use shadegrad::data::Source;
use shadegrad::text::shell_word;
use shadegrad::{Error, Result};
use std::path::PathBuf;

/// Seeds of a study.
const SEEDS: u64 = 5;

#[derive(Args)]
#[command(allow_negative_numbers = true)]
pub struct Options {
    /// Which of the paper's networks: 2, 1-6, 1,3-5
    #[arg(long, default_value = "1-6")]
    pub(super) cases: Cases,
    #[arg(long, value_name = "MODEL,...", value_delimiter = ',', help = format!(
        "Train these networks instead, each by its own recipe, and report on them alone. {}; what its [training] does not \
         say is as `train` has it",
        model_help()
    ), conflicts_with_all = ["cases", "comparisons", "learning_rate", "momentum", "schedule", "choose"])]
    pub(super) models: Vec<String>,
    /// How often each is trained: with the seeds from 1 to this
    #[arg(long, value_name = "N", default_value_t = SEEDS, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub(super) seeds: u64,
    /// Passes over the training set [default: 15, as in the paper; with --models what each recipe says]
    #[arg(long, value_name = "N")]
    pub(super) epochs: Option<usize>,
    /// Step of gradient descent; `--choose` says which is best on held-out images
    #[arg(long, default_value_t = DESCENT.learning_rate)]
    learning_rate: f32,
    /// Share of the former step that is kept, from 0 (plain gradient descent) to below 1
    #[arg(long, default_value_t = DESCENT.momentum)]
    momentum: f32,
    /// How the learning rate changes from step to step
    #[arg(long, value_enum, default_value_t = DESCENT.schedule)]
    schedule: Schedule,
    /// Judge the epochs of --models by a number (5000) or share (0.1) of training images that each seed holds out, and not
    /// by the test set: to choose among networks
    #[arg(long, value_name = "test|SPLIT", requires = "models", conflicts_with = "pictures")]
    validation: Option<Validation>,
    #[command(flatten)]
    pub(super) data: DataOption,
    #[command(flatten)]
    pub(super) device: DeviceOption,
    /// The folder of the study: runs and report. What is there already is kept and gone on with
    #[arg(long, value_name = "DIR", default_value = "study")]
    pub(super) out: PathBuf,
    /// Train the systems too that the paper compares itself with: a feed-forward network of four hidden layers,
    /// LeNet-5, and case 2 with the quadratic cost
    #[arg(long)]
    comparisons: bool,
    /// Passes over the training set of the feed-forward network
    #[arg(long, value_name = "N", default_value_t = paper::ANN_EPOCHS, requires = "comparisons")]
    ann_epochs: usize,
    /// Try a grid of learning rates and momenta instead, on the first of --cases, judged by images held out of the
    /// training set, and write what was chosen to choice/ in the folder of the study
    #[arg(long, conflicts_with_all = ["seeds", "learning_rate", "momentum", "comparisons", "pictures", "report_only"])]
    pub(super) choose: bool,
    /// Training images that --choose holds out
    #[arg(long, value_name = "N", default_value_t = choose::HELD_OUT, requires = "choose")]
    pub(super) held_out: usize,
    /// Draw the digits that each network is worst at, too. They are images of the data set: such a report is not for
    /// publishing
    #[arg(long)]
    pub(super) pictures: bool,
    /// Write the report of what is finished, and train nothing; also while another process trains
    #[arg(long)]
    pub(super) report_only: bool,
    /// Print nothing but errors
    #[arg(long)]
    pub(super) quiet: bool,
}

/// What a study is of.
pub enum Subjects {
    Paper { cases: Vec<Subject>, comparisons: Vec<Subject> },
    Models(Vec<Subject>),
}

impl Subjects {
    pub fn all(&self) -> impl Iterator<Item = &Subject> {
        let (first, second) = match self {
            Subjects::Paper { cases, comparisons } => (cases, comparisons.as_slice()),
            Subjects::Models(models) => (models, [].as_slice()),
        };
        first.iter().chain(second)
    }
}

impl Options {
    /// How the paper's networks are trained.
    pub fn descent(&self) -> Descent {
        Descent { learning_rate: self.learning_rate, momentum: self.momentum, schedule: self.schedule }
    }

    /// What judges.
    pub fn validation(&self) -> Validation {
        self.validation.unwrap_or(Validation::Test)
    }

    /// Epochs of the paper's networks.
    pub fn paper_epochs(&self) -> usize {
        self.epochs.unwrap_or(paper::EPOCHS)
    }

    pub fn subjects(&self) -> Result<Subjects> {
        if !self.models.is_empty() {
            return models::subjects(&self.models, self.epochs, self.validation()).map(Subjects::Models);
        }
        let (epochs, descent) = (self.paper_epochs(), self.descent());
        let comparisons =
            if self.comparisons { plan::comparisons(epochs, self.ann_epochs, descent) } else { Vec::new() };
        Ok(Subjects::Paper { cases: plan::cases(&self.cases.0, epochs, descent), comparisons })
    }

    pub fn common(&self, source: &Source) -> Common {
        let data = match source {
            Source::Builtin { .. } => "builtin".to_string(),
            Source::Folder(folder) => folder.display().to_string(),
        };
        Common::new(data, self.device.device.as_ref().map(ToString::to_string))
    }

    /// Every value inside its range, before anything is read; the message names the option.
    pub fn check(&self, subjects: &Subjects, common: &Common) -> Result<()> {
        if self.ann_epochs == 0 {
            return Err(Error::Usage("--ann-epochs must be at least 1, got 0".into()));
        }
        for job in subjects.all().map(|subject| subject.job(1, &self.out)) {
            train::Options::parse(&job.arguments(common), &job.title)?.train_options()?;
        }
        Ok(())
    }

    /// Every network with one seed before any with the next, so that a study that is ended early has something of each.
    pub fn jobs(&self, subjects: &Subjects) -> Vec<Job> {
        let mut jobs: Vec<Job> = subjects.all().flat_map(|subject| subject.jobs(self.seeds, &self.out)).collect();
        jobs.sort_by_key(|job| job.seed);
        jobs
    }

    /// The command with everything that decides the numbers, whether it was given or not.
    pub fn command(&self, common: &Common) -> String {
        let mut words = match self.models.is_empty() {
            true => self.of_paper(),
            false => self.of_models(),
        };
        words.extend(self.places(common));
        if self.pictures {
            words.push("--pictures".to_string());
        }
        format!("shadegrad study {}", words.join(" "))
    }

    fn of_paper(&self) -> Vec<String> {
        let cases: Vec<String> = self.cases.0.iter().map(usize::to_string).collect();
        let Descent { learning_rate, momentum, schedule } = self.descent();
        let mut words = vec![
            format!("--cases {} --seeds {} --epochs {}", cases.join(","), self.seeds, self.paper_epochs()),
            format!("--learning-rate {learning_rate} --momentum {momentum} --schedule {}", schedule.name()),
        ];
        if self.comparisons {
            words.push(format!("--comparisons --ann-epochs {}", self.ann_epochs));
        }
        words
    }

    fn of_models(&self) -> Vec<String> {
        let mut words = vec![format!("--models {} --seeds {}", shell_word(&self.models.join(",")), self.seeds)];
        words.extend(self.beside_recipes());
        words
    }

    /// The command that trains a network as its recipe says, alone and with the first seed.
    pub fn train_command(&self, model: &str, common: &Common) -> String {
        let mut words = vec![format!("shadegrad train --model {} --seed 1", shell_word(model))];
        words.extend(self.beside_recipes());
        words.extend(self.places(common));
        words.join(" ")
    }

    /// What `--models` is told of the trainings beside their recipes.
    fn beside_recipes(&self) -> Vec<String> {
        let epochs = self.epochs.map(|epochs| format!("--epochs {epochs}"));
        let validation = self.validation.map(|validation| format!("--validation {validation}"));
        epochs.into_iter().chain(validation).collect()
    }

    fn places(&self, common: &Common) -> Vec<String> {
        let device = common.device.as_ref().map(|device| format!("--device {}", shell_word(device)));
        [Some(format!("--data {}", shell_word(&common.data))), device].into_iter().flatten().collect()
    }
}
