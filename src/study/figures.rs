//! The figures of a report, each an SVG file in `figures/`.

use super::curves::{Case, Combined, Curve, Mark};
use super::entry::Entry;
use super::heat::HeatMap;
use super::paper::MEASURES;
use super::plan::Subject;
use super::runs::FinishedRun;
use crate::files::{check_own_folder, replace_own_file};
use crate::picture::{self, Drawing};
use crate::table::grouped;
use crate::train::EpochReport;
use crate::{Error, Result};
use std::io::Write;
use std::path::{Path, PathBuf};

/// A figure that was written, as text to be included in a page.
pub struct Figure {
    pub svg: String,
    pub caption: String,
}

/// The figures of a report.
pub struct Drawn {
    /// Accuracy against epoch, for each network that has a run.
    pub curves: Vec<Figure>,
    /// The same curves for all networks in one figure.
    pub combined: Figure,
    pub confusions: Vec<Figure>,
}

impl Drawn {
    /// Writes the figures into `figures/`.
    pub fn new(out: &Path, entries: &[&Entry]) -> Result<Drawn> {
        let figures = Figures::new(out)?;
        let there: Vec<&Entry> = entries.iter().copied().filter(|entry| !entry.runs.is_empty()).collect();
        let each = |draw: fn(&Figures, &Entry) -> Result<Figure>| -> Result<Vec<_>> {
            there.iter().map(|entry| draw(&figures, entry)).collect()
        };
        let (curves, confusions) = (each(Figures::network)?, each(Figures::confusion)?);
        Ok(Drawn { curves, combined: figures.combined(&there)?, confusions })
    }
}

/// The folder `figures/` of a study.
struct Figures(PathBuf);

impl Figures {
    /// Creates the folder.
    fn new(out: &Path) -> Result<Figures> {
        let folder = out.join("figures");
        check_own_folder(&folder)?;
        std::fs::create_dir_all(&folder).map_err(Error::io("create", &folder))?;
        Ok(Figures(folder))
    }

    /// Accuracies of a network over its epochs, with the paper's numbers, if any.
    fn network(&self, Entry { subject, runs, .. }: &Entry) -> Result<Figure> {
        let title = format!("{}, n = {}", subject.title, runs.len());
        let training = curve("training", runs, |epoch| epoch.train_accuracy);
        let validation = curve("validation", runs, |epoch| epoch.val_accuracy);
        let marks = marks(subject);
        let hollow = if marks.is_empty() { "" } else { "; hollow markers: the paper's numbers" };
        let caption = format!(
            "{}: {}. Lines: mean over the seeds; bands: range over the seeds{hollow}.",
            subject.title, subject.about
        );
        let drawing = Case { title, training, validation, marks };
        self.write(&subject.key, &drawing, caption)
    }

    /// Validation accuracy of all networks.
    fn combined(&self, entries: &[&Entry]) -> Result<Figure> {
        let curves = entries.iter().map(|entry| curve(&entry.subject.title, &entry.runs, |epoch| epoch.val_accuracy));
        let drawing = Combined { title: "Validation accuracy".to_string(), curves: curves.collect() };
        self.write("combined", &drawing, "Mean validation accuracy over the seeds, all networks.".to_string())
    }

    /// The confusion matrix after the last epoch, summed over the seeds.
    fn confusion(&self, Entry { subject, runs, .. }: &Entry) -> Result<Figure> {
        let mut sum: Vec<Vec<u64>> = Vec::new();
        for (index, run) in runs.iter().enumerate() {
            let classes = run.confusion.len();
            if index == 0 {
                sum = vec![vec![0; classes]; classes];
            } else if classes != sum.len() {
                let problem = format!("a confusion matrix of {classes} classes, but other runs have {}", sum.len());
                return Err(Error::file(&run.folder, problem));
            }
            for (total, count) in sum.iter_mut().flatten().zip(run.confusion.iter().flatten()) {
                *total += count;
            }
        }
        let wrong: u64 = sum
            .iter()
            .enumerate()
            .flat_map(|(label, row)| {
                row.iter().enumerate().filter(move |(class, _)| *class != label).map(|(_, count)| *count)
            })
            .sum();
        let images: u64 = sum.iter().flatten().sum();
        let title = format!("{}, n = {}", subject.title, runs.len());
        let caption = format!(
            "{}: {} of {} answers wrong, summed over the seeds.",
            subject.title,
            grouped(wrong),
            grouped(images)
        );
        self.write(&format!("confusion-{}", subject.key), &HeatMap { title, counts: sum }, caption)
    }

    fn write(&self, name: &str, drawing: &impl Drawing, caption: String) -> Result<Figure> {
        let path = self.0.join(format!("{name}.svg"));
        let svg = picture::svg(drawing).map_err(|error| Error::file(&path, format!("cannot be drawn: {error}")))?;
        replace_own_file(&path, |file| file.write_all(svg.as_bytes()))?;
        Ok(Figure { svg, caption })
    }
}

fn curve(label: &str, runs: &[FinishedRun], of: fn(&EpochReport) -> f64) -> Curve {
    let values = |run: &FinishedRun| run.epochs.iter().map(|epoch| of(epoch) * 100.0).collect();
    Curve::new(label, &runs.iter().map(values).collect::<Vec<_>>())
}

/// The credible numbers that the paper prints for a network. The final accuracy is placed at the paper's last epoch.
fn marks(subject: &Subject) -> Vec<Mark> {
    let accuracies = MEASURES.iter().zip(&subject.printed).filter(|(measure, _)| measure.is_accuracy);
    let believed = accuracies.filter_map(|(measure, printed)| Some((measure, printed.filter(|it| it.is_credible)?)));
    believed
        .map(|(measure, printed)| Mark {
            epoch: printed.epoch.unwrap_or(super::paper::EPOCHS),
            percent: printed.value,
            is_training: measure.key.ends_with("train"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::plan::{self, DESCENT};

    #[test]
    fn all_accuracies_but_the_slip_have_a_mark() {
        for subject in plan::cases(&[1, 2, 3, 4, 5, 6], 15, DESCENT).unwrap() {
            let marks = marks(&subject);
            let expected = if subject.key == "case4" { 4 } else { 5 };
            assert_eq!(marks.len(), expected, "{}", subject.key);
            assert_eq!(marks.iter().filter(|mark| mark.is_training).count(), 2);
        }
    }
}
