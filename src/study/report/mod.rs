//! The reports of a study, made from the runs that are finished: one compares the paper's networks with its table, the
//! other covers any networks and their recipes. This module has what they share.

mod cost;
mod measured;
pub mod models;
pub mod paper;

use super::csv;
use super::entry::Entry;
use super::page;
use super::pictures;
use super::runs::FinishedRun;
use super::work::duration;
use crate::data::{Dataset, sheet};
use crate::files::replace_own_file;
use crate::machine::Device;
use crate::run::RunRecord;
use crate::table::grouped;
use crate::text::{brief, markdown};
use crate::{Error, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::RgbImage;
use maud::{Markup, html};
use serde::Serialize;
use std::io::Write;
use std::path::Path;

/// The output folder of a report, and how it was made.
pub struct Frame<'a> {
    pub out: &'a Path,
    /// The command that makes the runs and this report.
    pub command: String,
    /// The device and images for the worst digits, if these are to be shown.
    pub pictures: Option<(Device, Dataset)>,
}

/// The images that each epoch was evaluated on.
#[derive(Clone, Copy)]
pub struct Judge {
    pub images: usize,
    /// Whether they were held out of the training set; otherwise they are the test set.
    pub is_held_out: bool,
}

impl Frame<'_> {
    /// Writes a file of the report. Like its runs, a study may come from somebody else, so links in it are not
    /// followed.
    pub fn save(&self, name: &str, content: &(impl AsRef<[u8]> + ?Sized)) -> Result<()> {
        replace_own_file(&self.out.join(name), |file| file.write_all(content.as_ref()))
    }

    /// Writes a table as CSV.
    pub fn save_lines(&self, name: &str, lines: impl IntoIterator<Item = impl Serialize>) -> Result<()> {
        replace_own_file(&self.out.join(name), |file| csv::write(file, lines))
    }

    /// The first finished run. Fails if there is none, or if runs used different data: means over them would have no
    /// meaning.
    pub fn first<'e>(&self, entries: &[&'e Entry]) -> Result<&'e FinishedRun> {
        let runs = || entries.iter().flat_map(|entry| &entry.runs);
        let Some(first) = runs().next() else {
            return Err(Error::file(self.out, "nothing to report: none of the selected runs has finished"));
        };
        for run in runs() {
            // Each seed holds out a different part of the data.
            let is_comparable = |other: &&FinishedRun| !run.record.is_held_out() || other.seed == run.seed;
            let like = runs().find(is_comparable).unwrap_or(first);
            let (here, there) = (&like.record, &run.record);
            let sizes = |record: &RunRecord| (record.train_images, record.validation_images, record.is_held_out());
            let is_other =
                here.checksum.as_ref().zip(there.checksum.as_ref()).is_some_and(|(here, there)| here != there);
            if is_other || sizes(&first.record) != sizes(there) {
                let problem = format!("trained on other data than {}: {}", like.folder.display(), brief(&there.data));
                return Err(Error::file(&run.folder, format!("{problem}; remove one of them, or use another folder")));
            }
        }
        Ok(first)
    }

    /// The contact sheets of the worst digits, if they are to be shown.
    pub fn worst(&self, entries: &[Entry]) -> Result<Markup> {
        let Some((device, set)) = &self.pictures else {
            return Ok(html! {
                p {
                    "Not shown, because they are images from the data set and this report may be published. study --pictures shows them."
                }
            });
        };
        let sheets: Vec<(&str, RgbImage, Vec<u8>)> = entries
            .iter()
            .filter(|entry| !entry.runs.is_empty())
            .map(|Entry { subject, runs, .. }| {
                let sheet = pictures::worst(device, runs, set)?;
                let name = format!("worst-{}.png", subject.key);
                let bytes = sheet::png(&sheet).map_err(Error::io("draw", self.out.join(&name)))?;
                self.save(&name, &bytes)?;
                Ok((subject.title.as_str(), sheet, bytes))
            })
            .collect::<Result<_>>()?;
        Ok(html! {
            p {
                "The images below are from the data set, so do not distribute or publish this report. Below each image are its label \
                 and the most frequent prediction; images with the highest loss over all seeds come first."
            }
            @for (title, sheet, bytes) in &sheets {
                h3 { (title) }
                div class="panel sheet" role="region" tabindex="0" aria-label={ "The worst digits of " (title) } {
                    img alt="Digits with the highest loss, each with label and prediction" width=(sheet.width())
                        height=(sheet.height()) src={ "data:image/png;base64," (STANDARD.encode(bytes)) };
                }
            }
        })
    }
}

impl Judge {
    pub fn of(run: &FinishedRun) -> Judge {
        Judge { images: run.record.validation_images, is_held_out: run.record.is_held_out() }
    }

    /// Description: "10,000 images of the test set".
    pub fn words(self) -> String {
        let whose = if self.is_held_out { "held out of the training set" } else { "of the test set" };
        format!("{} images {whose}", grouped(self.images as u64))
    }

    /// The text above confusion matrices.
    pub fn about_confusion(self) -> Markup {
        let whose = if self.is_held_out { "images held out" } else { "test images" };
        html! {
            p {
                "Counts of " (whose) " after the last epoch. Correct answers are grey; darker cells are more frequent mistakes."
            }
        }
    }
}

/// The networks with unfinished runs, one line for each.
pub fn lacking(entries: &[&Entry]) -> Vec<String> {
    let line = |entry: &&Entry| {
        let (there, all) = (entry.runs.len(), entry.runs.len() + entry.missing.len());
        format!("{}: {there} of {all} seeds have finished; {}", entry.subject.title, entry.missing.join(", "))
    };
    entries.iter().filter(|entry| !entry.missing.is_empty()).map(line).collect()
}

/// The same as HTML, in a box; empty if all runs have finished.
pub fn missing(entries: &[&Entry]) -> Markup {
    let lacking = lacking(entries);
    html! {
        @if !lacking.is_empty() {
            div class="warning" { p { "This report is not complete." } (page::list(&lacking)) }
        }
    }
}

/// The same in Markdown.
pub fn missing_markdown(entries: &[&Entry]) -> String {
    match lacking(entries) {
        lacking if lacking.is_empty() => String::new(),
        lacking => {
            let lines: String = lacking.iter().map(|line| format!("- {}\n", markdown(line))).collect();
            format!("\n## Not finished\n\n{lines}")
        }
    }
}

/// A table of the runs: when, on what device and with which version each was made.
pub fn runs(entries: &[&Entry]) -> Markup {
    let head = ["run", "started", "training", "images/s", "final validation", "shadegrad", "device"];
    let row = |entry: &Entry, run: &FinishedRun| {
        let last = run.last();
        let cells = [
            run.record.started.clone(),
            duration(run.seconds()),
            format!("{:.0}", last.images_per_second),
            format!("{:.2} %", last.val_accuracy * 100.0),
            run.record.shadegrad.clone(),
        ];
        let name = format!("{}, seed {}", entry.subject.title, run.seed);
        page::row(&name, &cells, Some(&run.record.devices().join("; then ")))
    };
    let body = html! {
        @for entry in entries {
            @for run in &entry.runs { (row(entry, run)) }
        }
    };
    page::table("Runs", &head, &body)
}

pub fn today() -> String {
    crate::clock::today()
}
