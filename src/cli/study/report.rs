//! The report of a study: `table1.md`, `table1.csv`, `figures/` and `report.html`, from whatever runs are finished.

use super::choose::Choice;
use super::figures::{Figure, Figures};
use super::page;
use super::paper::SLIPS;
use super::pictures;
use super::plan::Subject;
use super::runs::{BATCH_SIZE, Run};
use super::table::{self, Row};
use super::work::duration;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use shadegrad::data::{Dataset, replace_file, sheet};
use shadegrad::machine::Device;
use shadegrad::table::grouped;
use shadegrad::{Error, Result, version};
use std::io::Write;
use std::path::Path;

/// A network with its finished runs.
pub struct Entry {
    pub subject: Subject,
    pub runs: Vec<Run>,
    /// What is not finished: "seed 3: 4 of 15 epochs".
    pub missing: Vec<String>,
}

/// What a report tells of.
pub struct Report<'a> {
    pub out: &'a Path,
    pub cases: Vec<Entry>,
    pub comparisons: Vec<Entry>,
    pub learning_rate: f32,
    pub momentum: f32,
    pub choice: Option<Choice>,
    /// That makes the runs and this report.
    pub command: String,
    /// That makes the first of the runs alone.
    pub train_command: String,
    /// What the worst digits are found with, if they were asked for.
    pub pictures: Option<(Device, Dataset)>,
}

impl Report<'_> {
    /// Writes all of it. Files of an older report are replaced.
    pub fn write(&self) -> Result<()> {
        let Some(first) = self.entries().flat_map(|entry| &entry.runs).next() else {
            let problem = "nothing to report: none of the runs asked for is finished";
            return Err(Error::file(self.out, problem));
        };
        self.check_same_data(first)?;
        let cases = rows(&self.cases);
        let comparisons = rows(&self.comparisons);
        self.save("table1.csv", &table::csv(&cases))?;
        if !comparisons.is_empty() {
            self.save("comparisons.csv", &table::csv(&comparisons))?;
        }
        self.save("table1.md", &self.markdown(&cases, &comparisons, first))?;
        let figures = Figures::new(self.out)?;
        let there: Vec<&Entry> = self.cases.iter().filter(|entry| !entry.runs.is_empty()).collect();
        let each =
            |draw: &dyn Fn(&Entry) -> Result<Figure>| there.iter().map(|entry| draw(entry)).collect::<Result<Vec<_>>>();
        let curves = each(&|entry| figures.case(&entry.subject, &entry.runs))?;
        let confusions = each(&|entry| figures.confusion(&entry.subject, &entry.runs))?;
        let all: Vec<_> = there.iter().map(|entry| (&entry.subject, entry.runs.as_slice())).collect();
        let combined = figures.combined(&all)?;

        let mut body = format!(
            "<h1>Six convolutional networks, beside the paper</h1>\n<p class=\"soft\">Dhumne, Nagoriya, Chandibhamar, Nayak, Shah \
             and Shah, <cite>Recognition of Handwritten Digit using Convolutional Neural Network using Python and \
             Tensorflow</cite>, trained again by shadegrad {}.</p>\n",
            env!("CARGO_PKG_VERSION")
        );
        body += &self.missing();
        body += &page::section("Settings", &self.settings(first));
        let table1 =
            page::compared("Table I, and these runs beside it", &cases, "paper") + &page::paragraph(table::LEGEND);
        body += &page::section("Table I", &table1);
        body += &page::section("Accuracy against epoch", &page::grid(&curves));
        let combined = format!("<div class=\"single\">\n{}</div>\n", page::figure(&combined));
        body += &page::section("All cases", &combined);
        if !comparisons.is_empty() {
            body += &page::section("Systems that the paper compares itself with", &self.compared(&comparisons));
        }
        if let Some(choice) = &self.choice {
            body += &page::section("Learning rate and momentum", &grid_of(choice));
        }
        let about = "Counts of test images after the last epoch. Right answers are grey; the darker a mistake, the more frequent.";
        body += &page::section("Confusion", &(page::paragraph(about) + &page::grid(&confusions)));
        body += &page::section("The worst digits", &self.worst()?);
        body += &page::section("Notes on the paper", &page::list(&SLIPS));
        body += &page::section("Runs", &self.runs());
        self.save("report.html", &page::page("Six convolutional networks, beside the paper", &body))
    }

    fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.cases.iter().chain(&self.comparisons)
    }

    fn save(&self, name: &str, text: &str) -> Result<()> {
        replace_file(&self.out.join(name), |file| file.write_all(text.as_bytes()))
    }

    /// Means over runs on different data would say nothing.
    fn check_same_data(&self, first: &Run) -> Result<()> {
        for run in self.entries().flat_map(|entry| &entry.runs) {
            let (here, there) = (&first.record, &run.record);
            let sizes = |record: &crate::cli::train::Record| (record.train_images, record.validation_images);
            let is_other =
                here.checksum.as_ref().zip(there.checksum.as_ref()).is_some_and(|(here, there)| here != there);
            if is_other || sizes(here) != sizes(there) {
                let problem = format!("a run on other data than {}: {}", first.folder.display(), there.data);
                return Err(Error::file(&run.folder, format!("{problem}; remove one of them, or give another --out")));
            }
        }
        Ok(())
    }

    fn markdown(&self, cases: &[Row], comparisons: &[Row], first: &Run) -> String {
        let mut text = format!(
            "# Table I, and these runs beside it\n\n{}\n\n{}",
            self.summary(first),
            table::markdown(cases, "paper")
        );
        text += &format!("\n{}\n", table::LEGEND);
        if !comparisons.is_empty() {
            let about: String = self.comparisons.iter().map(|entry| format!("- {}\n", about(&entry.subject))).collect();
            text += &format!(
                "\n## Systems that the paper compares itself with\n\n{}\n{about}",
                table::markdown(comparisons, "reported")
            );
        }
        let missing: String = self.lacking().iter().map(|line| format!("- {line}\n")).collect();
        if !missing.is_empty() {
            text += &format!("\n## Not finished\n\n{missing}");
        }
        let slips: String = SLIPS.iter().map(|slip| format!("- {slip}\n")).collect();
        text + &format!("\n## Notes on the paper\n\n{slips}")
    }

    /// The settings in two sentences.
    fn summary(&self, first: &Run) -> String {
        format!(
            "{}, {} training and {} test images; stochastic gradient descent, batches of {BATCH_SIZE}, learning rate {}, \
             momentum {}; shadegrad {}, {}. `{}`",
            first.record.data,
            grouped(first.record.train_images as u64),
            grouped(first.record.validation_images as u64),
            self.learning_rate,
            self.momentum,
            env!("CARGO_PKG_VERSION"),
            today(),
            self.command
        )
    }

    fn settings(&self, first: &Run) -> String {
        let record = &first.record;
        let chosen = match &self.choice {
            Some(choice) if (choice.learning_rate, choice.momentum) == (self.learning_rate, self.momentum) => {
                page::escape(choice.story())
            }
            Some(choice) => format!(
                "Not those that were chosen on held-out images, which are {} and {}.",
                choice.learning_rate, choice.momentum
            ),
            None => "Not chosen in this study: <code>study --choose</code> does that, on held-out images.".to_string(),
        };
        let epochs = self.cases.first().or(self.comparisons.first()).map_or(0, |entry| entry.subject.epochs);
        page::facts(&[
            (
                "Data",
                page::escape(format!(
                    "{}: {} training images, {} test images, which are the validation set too. The paper's numbers are \
                     those of MNIST.",
                    record.data,
                    grouped(record.train_images as u64),
                    grouped(record.validation_images as u64)
                )),
            ),
            ("Training", format!("{epochs} epochs of stochastic gradient descent, batches of {BATCH_SIZE}")),
            ("Learning rate", format!("{}, momentum {}. {chosen}", self.learning_rate, self.momentum)),
            ("Loss", "softmax cross-entropy, where nothing else is said".to_string()),
            ("Versions", format!("shadegrad {}, wgpu {}", env!("CARGO_PKG_VERSION"), version::wgpu())),
            ("Written", today()),
            ("Command", page::command(&self.command)),
            ("One run alone", page::command(&self.train_command)),
        ])
    }

    /// What is not finished, a line each.
    fn lacking(&self) -> Vec<String> {
        let line = |entry: &Entry| {
            let (there, all) = (entry.runs.len(), entry.runs.len() + entry.missing.len());
            format!("{}: {there} of {all} seeds are finished; {}", entry.subject.title, entry.missing.join(", "))
        };
        self.entries().filter(|entry| !entry.missing.is_empty()).map(line).collect()
    }

    fn missing(&self) -> String {
        match self.lacking() {
            lacking if lacking.is_empty() => String::new(),
            lacking => format!(
                "<div class=\"warning\">\n{}{}</div>\n",
                page::paragraph("This report is not complete."),
                page::list(&lacking)
            ),
        }
    }

    fn compared(&self, rows: &[Row]) -> String {
        let about: Vec<String> = self.comparisons.iter().map(|entry| about(&entry.subject)).collect();
        page::compared("Systems that the paper compares itself with", rows, "reported") + &page::list(&about)
    }

    /// The sheets, if they were asked for.
    fn worst(&self) -> Result<String> {
        let Some((device, set)) = &self.pictures else {
            return Ok(page::paragraph(
                "Not shown: they are images of the data set, and this report may be passed on. study --pictures shows them.",
            ));
        };
        let warning = "Below are images of the data set: this report is not for passing on or publishing. Under each image its \
                       label, and what most seeds take it for; those with the highest loss, over all seeds, come first.";
        let mut content = page::paragraph(warning);
        for entry in self.cases.iter().filter(|entry| !entry.runs.is_empty()) {
            let sheet = pictures::worst(device, &entry.runs, set)?;
            let path = self.out.join(format!("worst-{}.png", entry.subject.key));
            sheet::save(&sheet, &path)?;
            let bytes = std::fs::read(&path).map_err(Error::io("read", &path))?;
            let title = page::escape(&entry.subject.title);
            content += &format!(
                "<h3>{title}</h3>\n<div class=\"panel sheet\" role=\"region\" tabindex=\"0\" aria-label=\"The worst digits of \
                 {title}\"><img alt=\"Digits with the highest loss, each with label and prediction\" width=\"{}\" height=\"{}\" \
                 src=\"data:image/png;base64,{}\"></div>\n",
                sheet.width(),
                sheet.height(),
                STANDARD.encode(bytes)
            );
        }
        Ok(content)
    }

    /// Which run was made when, where and by what.
    fn runs(&self) -> String {
        let head = ["run", "started", "training", "images/s", "final validation", "shadegrad", "device"];
        let mut body = String::new();
        for entry in self.entries() {
            for run in &entry.runs {
                let last = run.last();
                let cells = [
                    run.record.started.clone(),
                    duration(run.seconds()),
                    format!("{:.0}", last.images_per_second),
                    format!("{:.2} %", last.val_accuracy * 100.0),
                    run.record.shadegrad.clone(),
                ];
                let cells: String = cells.iter().map(|cell| format!("<td>{}</td>", page::escape(cell))).collect();
                body += &format!(
                    "<tr><th scope=\"row\" class=\"name\">{}, seed {}</th>{cells}<td class=\"name wrap\">{}</td></tr>\n",
                    page::escape(&entry.subject.title),
                    run.seed,
                    page::escape(run.record.devices().join("; then "))
                );
            }
        }
        page::table("Runs", &head, &body)
    }
}

fn rows(entries: &[Entry]) -> Vec<Row> {
    let row = |Entry { subject, runs, .. }: &Entry| Row::new(&subject.key, &subject.title, runs, subject.printed);
    entries.iter().map(row).collect()
}

fn about(subject: &Subject) -> String {
    format!("{}: {}.", subject.title, subject.about)
}

fn grid_of(choice: &Choice) -> String {
    let mut head = vec!["learning rate".to_string()];
    head.extend(super::choose::MOMENTA.iter().map(|momentum| format!("momentum {momentum}")));
    let head: Vec<&str> = head.iter().map(String::as_str).collect();
    let cell = |(text, is_chosen): (String, bool)| {
        let text = page::escape(text);
        if is_chosen { format!("<td><span class=\"chosen\">{text}</span></td>") } else { format!("<td>{text}</td>") }
    };
    let mut body = String::new();
    for (rate, cells) in choice.grid() {
        let cells: String = cells.into_iter().map(cell).collect();
        body += &format!("<tr><th scope=\"row\" class=\"name\">{rate}</th>{cells}</tr>\n");
    }
    let about = "Accuracy in % and loss on the images held out; what was chosen is underlined.";
    page::paragraph(&choice.story())
        + &page::table("Learning rate and momentum", &head, &body)
        + &page::paragraph(about)
}

fn today() -> String {
    jiff::Zoned::now().strftime("%Y-%m-%d").to_string()
}
