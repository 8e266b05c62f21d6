//! The report on the paper's networks: `table1.md`, `table1.csv`, `figures/` and `report.html`.

use super::{Frame, Judge, missing, missing_markdown, runs, today};
use crate::study::choice::{Choice, MOMENTA};
use crate::study::entry::Entry;
use crate::study::figures::Drawn;
use crate::study::page::{self, section};
use crate::study::paper::SLIPS;
use crate::study::plan::{BATCH_SIZE, DESCENT, Descent, Subject};
use crate::study::runs::FinishedRun;
use crate::study::table::{self, Row};
use crate::table::{Align, Table, grouped};
use crate::text::counted;
use crate::text::{markdown, markdown_code};
use crate::{Result, version};
use maud::{Markup, html};

/// Contents of the report.
pub struct Report<'a> {
    pub frame: Frame<'a>,
    pub cases: Vec<Entry>,
    pub comparisons: Vec<Entry>,
    pub descent: Descent,
    pub choice: Option<Choice>,
    /// The command that makes only the first run.
    pub train_command: String,
}

impl Report<'_> {
    /// Writes the report, and returns a summary. Files of an older report are replaced.
    pub fn write(&self) -> Result<String> {
        let first = self.frame.first(&self.entries())?;
        let cases = rows(&self.cases);
        let comparisons = rows(&self.comparisons);
        self.frame.save_lines("table1.csv", table::lines(&cases))?;
        if !comparisons.is_empty() {
            self.frame.save_lines("comparisons.csv", table::lines(&comparisons))?;
        }
        self.frame.save("table1.md", &self.markdown(&cases, &comparisons, first))?;
        let Drawn { curves, combined, confusions } =
            Drawn::new(self.frame.out, &self.cases.iter().collect::<Vec<_>>())?;

        let title = "Six convolutional networks, compared with the paper";
        let entries = self.entries();
        let worst = self.frame.worst(&self.cases)?;
        let body = html! {
            h1 { (title) }
            p class="soft" {
                "Dhumne, Nagoriya, Chandibhamar, Nayak, Shah and Shah, "
                cite {
                    "Recognition of Handwritten Digit using Convolutional Neural Network using Python and Tensorflow"
                }
                ", reproduced with shadegrad " (env!("CARGO_PKG_VERSION")) "."
            }
            (missing(&entries))
            (section("Settings", &self.settings(first)))
            (section("Table I", &html! {
                (page::compared("Table I, compared with these runs", &cases, "paper"))
                p { (table::LEGEND) }
            }))
            (section("Accuracy against epoch", &page::grid(&curves)))
            (section("All cases", &html! { div class="single" { (page::figure(&combined)) } }))
            @if !comparisons.is_empty() {
                (section("Systems that the paper compares its networks with", &self.compared(&comparisons)))
            }
            @if let Some(choice) = &self.choice {
                (section("Learning rate and momentum", &grid_of(choice)))
            }
            (section("Confusion", &html! { (Judge::of(first).about_confusion()) (page::grid(&confusions)) }))
            (section("The worst digits", &worst))
            (section("Notes on the paper", &page::list(&SLIPS)))
            (section("Runs", &runs(&entries)))
        };
        self.frame.save("report.html", &page::page(title, &body))?;
        Ok(self.in_short())
    }

    fn entries(&self) -> Vec<&Entry> {
        self.cases.iter().chain(&self.comparisons).collect()
    }

    /// Final accuracy and test loss of every network, with the published numbers.
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

    fn markdown(&self, cases: &[Row], comparisons: &[Row], first: &FinishedRun) -> String {
        let mut text = format!(
            "# Table I, compared with these runs\n\n{}\n\n{}",
            self.summary(first),
            table::markdown(cases, "paper")
        );
        text += &format!("\n{}\n", table::LEGEND);
        if !comparisons.is_empty() {
            let about: String =
                self.comparisons.iter().map(|entry| format!("- {}\n", markdown(&about(&entry.subject)))).collect();
            text += &format!(
                "\n## Systems that the paper compares its networks with\n\n{}\n{about}",
                table::markdown(comparisons, "reported")
            );
        }
        text += &missing_markdown(&self.entries());
        let slips: String = SLIPS.iter().map(|slip| format!("- {slip}\n")).collect();
        text + &format!("\n## Notes on the paper\n\n{slips}")
    }

    /// The settings in two sentences.
    fn summary(&self, first: &FinishedRun) -> String {
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

    fn settings(&self, first: &FinishedRun) -> Markup {
        let record = &first.record;
        let Descent { learning_rate, momentum, .. } = self.descent;
        let chosen = match &self.choice {
            Some(choice) if (choice.learning_rate, choice.momentum) == (learning_rate, momentum) => choice.story(),
            Some(choice) => format!(
                "These differ from the rate and momentum chosen on held-out images, which are {} and {}.",
                choice.learning_rate, choice.momentum
            ),
            None if (learning_rate, momentum) == (DESCENT.learning_rate, DESCENT.momentum) => {
                "The defaults of `study`, which were chosen on held-out images of MNIST.".to_string()
            }
            None => "Not chosen in this study: `study --choose` does that, on held-out images.".to_string(),
        };
        let epochs = self.cases.first().or(self.comparisons.first()).map_or(0, |entry| entry.subject.epochs);
        let (train, test) = (grouped(record.train_images as u64), grouped(record.validation_images as u64));
        let words = self.descent.words();
        page::facts(&[
            (
                "Data",
                html! {
                    (record.data) ": " (train) " training images, " (test) " test images, which are also the validation set. \
                     The paper's numbers are for MNIST."
                },
            ),
            (
                "Training",
                html! { (counted(epochs, "epoch")) " of stochastic gradient descent, batches of " (BATCH_SIZE) },
            ),
            ("Learning rate", html! { (words.trim_start_matches("learning rate ")) ". " (page::prose(&chosen)) }),
            ("Loss", html! { "softmax cross-entropy, unless stated otherwise" }),
            ("Versions", html! { "shadegrad " (env!("CARGO_PKG_VERSION")) ", wgpu " (version::wgpu()) }),
            ("Written", html! { (today()) }),
            ("Command", page::command(&self.frame.command)),
            ("Single run", page::command(&self.train_command)),
        ])
    }

    fn compared(&self, rows: &[Row]) -> Markup {
        let about: Vec<String> = self.comparisons.iter().map(|entry| about(&entry.subject)).collect();
        html! {
            (page::compared("Systems that the paper compares its networks with", rows, "reported"))
            (page::list(&about))
        }
    }
}

fn rows(entries: &[Entry]) -> Vec<Row> {
    entries.iter().map(|entry| entry.subject.row(&entry.runs)).collect()
}

fn about(subject: &Subject) -> String {
    format!("{}: {}.", subject.title, subject.about)
}

fn grid_of(choice: &Choice) -> Markup {
    let mut head = vec!["learning rate".to_string()];
    head.extend(MOMENTA.iter().map(|momentum| format!("momentum {momentum}")));
    let head: Vec<&str> = head.iter().map(String::as_str).collect();
    let body = html! {
        @for (rate, cells) in choice.grid() {
            tr {
                th scope="row" class="name" { (rate) }
                @for (text, is_chosen) in cells {
                    td { @if is_chosen { span class="chosen" { (text) } } @else { (text) } }
                }
            }
            "\n"
        }
    };
    html! {
        p { (page::prose(&choice.story())) }
        (page::table("Learning rate and momentum", &head, &body))
        p { "Accuracy in % and loss on the images held out; the values chosen are underlined." }
    }
}
