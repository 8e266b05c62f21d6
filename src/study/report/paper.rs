//! The report of the paper's networks: `table1.md`, `table1.csv`, `figures/` and `report.html`.

use super::{Entry, Frame, Judge, missing, missing_markdown, runs, today};
use crate::study::choose::{Choice, MOMENTA};
use crate::study::figures::Drawn;
use crate::study::paper::SLIPS;
use crate::study::plan::{BATCH_SIZE, Descent, Subject};
use crate::study::runs::Run;
use crate::study::table::{self, Row};
use crate::study::{DESCENT, page};
use crate::table::{Align, Table, grouped};
use crate::text::counted;
use crate::text::{markdown, markdown_code};
use crate::{Result, version};

/// What a report of the paper's networks tells of.
pub struct Report<'a> {
    pub frame: Frame<'a>,
    pub cases: Vec<Entry>,
    pub comparisons: Vec<Entry>,
    pub descent: Descent,
    pub choice: Option<Choice>,
    /// That makes the first of the runs alone.
    pub train_command: String,
}

impl Report<'_> {
    /// Writes all of it, and returns the most important. Files of an older report are replaced.
    pub fn write(&self) -> Result<String> {
        let first = self.frame.first(&self.entries())?;
        let cases = rows(&self.cases);
        let comparisons = rows(&self.comparisons);
        self.frame.save("table1.csv", &table::csv(&cases))?;
        if !comparisons.is_empty() {
            self.frame.save("comparisons.csv", &table::csv(&comparisons))?;
        }
        self.frame.save("table1.md", &self.markdown(&cases, &comparisons, first))?;
        let Drawn { curves, combined, confusions } =
            Drawn::new(self.frame.out, &self.cases.iter().collect::<Vec<_>>())?;

        let mut body = format!(
            "<h1>Six convolutional networks, beside the paper</h1>\n<p class=\"soft\">Dhumne, Nagoriya, Chandibhamar, Nayak, Shah \
             and Shah, <cite>Recognition of Handwritten Digit using Convolutional Neural Network using Python and \
             Tensorflow</cite>, trained again by shadegrad {}.</p>\n",
            env!("CARGO_PKG_VERSION")
        );
        body += &missing(&self.entries());
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
        body += &page::section("Confusion", &(Judge::of(first).about_confusion() + &page::grid(&confusions)));
        body += &page::section("The worst digits", &self.frame.worst(&self.cases)?);
        body += &page::section("Notes on the paper", &page::list(&SLIPS));
        body += &page::section("Runs", &runs(&self.entries()));
        self.frame.save("report.html", &page::page("Six convolutional networks, beside the paper", &body))?;
        Ok(self.in_short())
    }

    fn entries(&self) -> Vec<&Entry> {
        self.cases.iter().chain(&self.comparisons).collect()
    }

    /// Final accuracy and test loss of every network, beside what is printed.
    fn in_short(&self) -> String {
        use Align::{Left, Right};
        let heading = ["", "n", "final validation", "reported", "difference", "test loss", "reported", "difference"];
        let mut table = Table::new(heading, [Left, Right, Right, Right, Right, Right, Right, Right]);
        for Entry { subject, runs, .. } in self.entries() {
            let row = subject.row(runs);
            let [.., accuracy, loss] = &row.cells;
            table.row([
                row.title.clone(),
                row.n.to_string(),
                accuracy.ours(),
                accuracy.paper(),
                accuracy.difference(),
                loss.ours(),
                loss.paper(),
                loss.difference(),
            ]);
        }
        table.render()
    }

    fn markdown(&self, cases: &[Row], comparisons: &[Row], first: &Run) -> String {
        let mut text = format!(
            "# Table I, and these runs beside it\n\n{}\n\n{}",
            self.summary(first),
            table::markdown(cases, "paper")
        );
        text += &format!("\n{}\n", table::LEGEND);
        if !comparisons.is_empty() {
            let about: String =
                self.comparisons.iter().map(|entry| format!("- {}\n", markdown(&about(&entry.subject)))).collect();
            text += &format!(
                "\n## Systems that the paper compares itself with\n\n{}\n{about}",
                table::markdown(comparisons, "reported")
            );
        }
        text += &missing_markdown(&self.entries());
        let slips: String = SLIPS.iter().map(|slip| format!("- {slip}\n")).collect();
        text + &format!("\n## Notes on the paper\n\n{slips}")
    }

    /// The settings in two sentences.
    fn summary(&self, first: &Run) -> String {
        format!(
            "{}, {} training and {} test images; stochastic gradient descent, batches of {BATCH_SIZE}, {}; \
             shadegrad {}, {}. {}",
            markdown(&first.record.data),
            grouped(first.record.train_images as u64),
            grouped(first.record.validation_images as u64),
            self.descent.words(),
            env!("CARGO_PKG_VERSION"),
            today(),
            markdown_code(&self.frame.command, false)
        )
    }

    fn settings(&self, first: &Run) -> String {
        let record = &first.record;
        let Descent { learning_rate, momentum, .. } = self.descent;
        let chosen = match &self.choice {
            Some(choice) if (choice.learning_rate, choice.momentum) == (learning_rate, momentum) => {
                page::prose(&choice.story())
            }
            Some(choice) => format!(
                "Not the rate and momentum that were chosen on held-out images, which are {} and {}.",
                choice.learning_rate, choice.momentum
            ),
            None if (learning_rate, momentum) == (DESCENT.learning_rate, DESCENT.momentum) => {
                "The defaults of <code>study</code>, which were chosen on held-out images of MNIST.".to_string()
            }
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
            (
                "Training",
                format!("{} of stochastic gradient descent, batches of {BATCH_SIZE}", counted(epochs, "epoch")),
            ),
            ("Learning rate", format!("{}. {chosen}", self.descent.words().trim_start_matches("learning rate "))),
            ("Loss", "softmax cross-entropy, where nothing else is said".to_string()),
            ("Versions", format!("shadegrad {}, wgpu {}", env!("CARGO_PKG_VERSION"), version::wgpu())),
            ("Written", today()),
            ("Command", page::command(&self.frame.command)),
            ("One run alone", page::command(&self.train_command)),
        ])
    }

    fn compared(&self, rows: &[Row]) -> String {
        let about: Vec<String> = self.comparisons.iter().map(|entry| about(&entry.subject)).collect();
        page::compared("Systems that the paper compares itself with", rows, "reported") + &page::list(&about)
    }
}

fn rows(entries: &[Entry]) -> Vec<Row> {
    entries.iter().map(|entry| entry.subject.row(&entry.runs)).collect()
}

fn about(subject: &Subject) -> String {
    format!("{}: {}.", subject.title, subject.about)
}

fn grid_of(choice: &Choice) -> String {
    let mut head = vec!["learning rate".to_string()];
    head.extend(MOMENTA.iter().map(|momentum| format!("momentum {momentum}")));
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
