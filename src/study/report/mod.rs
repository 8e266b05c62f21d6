//! The reports of a study, from whatever runs are finished: one that puts the paper's networks beside its table, one of any
//! networks and their recipes. What both have is here.

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

/// Where a report goes, and what made it.
pub struct Frame<'a> {
    pub out: &'a Path,
    /// That makes the runs and this report.
    pub command: String,
    /// What the worst digits are found with, if they were asked for.
    pub pictures: Option<(Device, Dataset)>,
}

/// The images that epochs were judged by.
#[derive(Clone, Copy)]
pub struct Judge {
    pub images: usize,
    /// Of the training set, or else the test set.
    pub is_held_out: bool,
}

impl Frame<'_> {
    /// Writes a file of the report. Like its runs, a study may come from somebody else: links in it are not followed.
    pub fn save(&self, name: &str, content: &(impl AsRef<[u8]> + ?Sized)) -> Result<()> {
        replace_own_file(&self.out.join(name), |file| file.write_all(content.as_ref()))
    }

    /// Writes a table as CSV.
    pub fn save_lines(&self, name: &str, lines: impl IntoIterator<Item = impl Serialize>) -> Result<()> {
        replace_own_file(&self.out.join(name), |file| csv::write(file, lines))
    }

    /// The first run there is. Fails if there is none, or if they are on different data: means over them would say nothing.
    pub fn first<'e>(&self, entries: &[&'e Entry]) -> Result<&'e FinishedRun> {
        let runs = || entries.iter().flat_map(|entry| &entry.runs);
        let Some(first) = runs().next() else {
            return Err(Error::file(self.out, "nothing to report: none of the runs asked for is finished"));
        };
        for run in runs() {
            // What is held out is another part of the data for each seed.
            let is_comparable = |other: &&FinishedRun| !run.record.is_held_out() || other.seed == run.seed;
            let like = runs().find(is_comparable).unwrap_or(first);
            let (here, there) = (&like.record, &run.record);
            let sizes = |record: &RunRecord| (record.train_images, record.validation_images, record.is_held_out());
            let is_other =
                here.checksum.as_ref().zip(there.checksum.as_ref()).is_some_and(|(here, there)| here != there);
            if is_other || sizes(&first.record) != sizes(there) {
                let problem = format!("a run on other data than {}: {}", like.folder.display(), brief(&there.data));
                return Err(Error::file(&run.folder, format!("{problem}; remove one of them, or take another folder")));
            }
        }
        Ok(first)
    }

    /// The sheets, if they were asked for.
    pub fn worst(&self, entries: &[Entry]) -> Result<Markup> {
        let Some((device, set)) = &self.pictures else {
            return Ok(html! {
                p {
                    "Not shown: they are images of the data set, and this report may be passed on. study --pictures shows them."
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
                "Below are images of the data set: this report is not for passing on or publishing. Under each image its label, \
                 and what most seeds take it for; those with the highest loss, over all seeds, come first."
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

    /// "10,000 images of the test set"
    pub fn words(self) -> String {
        let whose = if self.is_held_out { "held out of the training set" } else { "of the test set" };
        format!("{} images {whose}", grouped(self.images as u64))
    }

    /// What stands above confusion matrices.
    pub fn about_confusion(self) -> Markup {
        let whose = if self.is_held_out { "images held out" } else { "test images" };
        html! {
            p {
                "Counts of " (whose) " after the last epoch. Right answers are grey; the darker a mistake, the more frequent."
            }
        }
    }
}

/// What is not finished, a line each.
pub fn lacking(entries: &[&Entry]) -> Vec<String> {
    let line = |entry: &&Entry| {
        let (there, all) = (entry.runs.len(), entry.runs.len() + entry.missing.len());
        format!("{}: {there} of {all} seeds are finished; {}", entry.subject.title, entry.missing.join(", "))
    };
    entries.iter().filter(|entry| !entry.missing.is_empty()).map(line).collect()
}

/// The same as HTML, in a box; nothing where nothing is missing.
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

/// Which run was made when, where and by what.
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
