//! The report on networks with their own recipes: `table.md`, `table.csv`, `cost.csv`, `figures/` and `report.html`.

use super::cost::{self, Cost};
use super::{Frame, Judge, measured, missing, missing_markdown, runs, today};
use crate::network::Network;
use crate::study::entry::Entry;
use crate::study::figures::Drawn;
use crate::study::models::recipe_in_words;
use crate::study::page::{self, section};
use crate::study::runs::FinishedRun;
use crate::study::table::Row;
use crate::table::{Align, Table, grouped};
use crate::text;
use crate::text::counted;
use crate::{Result, version};
use maud::{Markup, html};

/// Contents of the report.
pub struct Report<'a> {
    pub frame: Frame<'a>,
    pub models: Vec<Entry>,
    /// For each network, the command that makes only its first run.
    pub commands: Vec<String>,
}

/// Results computed from the runs.
struct Found<'r> {
    first: &'r FinishedRun,
    judge: Judge,
    rows: Vec<Row>,
    costs: Vec<Cost>,
    /// Descriptions of the recipes.
    recipes: Vec<String>,
}

impl Report<'_> {
    /// Writes the report, and returns a summary. Files of an older report are replaced.
    pub fn write(&self) -> Result<String> {
        let entries: Vec<&Entry> = self.models.iter().collect();
        let first = self.frame.first(&entries)?;
        let recipe =
            |entry: &Entry| Ok(recipe_in_words(&Network::open(&entry.subject.model)?.recipe, entry.subject.epochs));
        let found = Found {
            first,
            judge: Judge::of(first),
            rows: self.models.iter().map(|entry| entry.subject.row(&entry.runs)).collect(),
            costs: self.models.iter().map(Cost::of).collect::<Result<_>>()?,
            recipes: self.models.iter().map(recipe).collect::<Result<_>>()?,
        };
        self.frame.save_lines("table.csv", measured::lines(&found.rows, found.judge))?;
        self.frame.save_lines("cost.csv", cost::lines(&found.costs))?;
        self.frame.save("table.md", &self.markdown(&entries, &found))?;
        let drawn = Drawn::new(self.frame.out, &entries)?;
        self.frame.save("report.html", &self.html(&entries, &found, &drawn)?)?;
        Ok(in_short(&found))
    }

    /// The title: "best and fast, 3 seeds each".
    fn title(&self) -> String {
        let names: Vec<&str> = self.models.iter().map(|entry| entry.subject.title.as_str()).collect();
        let seeds = self.models.first().map_or(0, |entry| entry.runs.len() + entry.missing.len());
        let seeds = counted(seeds, "seed");
        match names.split_last() {
            Some((last, [])) => format!("{last}, {seeds}"),
            Some((last, others)) => format!("{} and {last}, {seeds} each", others.join(", ")),
            None => seeds,
        }
    }

    fn markdown(&self, entries: &[&Entry], found: &Found<'_>) -> String {
        let Found { first, judge, rows, costs, recipes } = found;
        let mut page = format!(
            "# {}\n\n{}, {} training images; evaluated on {}; shadegrad {}, {}. {}\n\n",
            text::markdown(&self.title()),
            text::markdown(&first.record.data),
            grouped(first.record.train_images as u64),
            judge.words(),
            env!("CARGO_PKG_VERSION"),
            today(),
            text::markdown_code(&self.frame.command, false)
        );
        page += &format!("{}\n{}\n", measured::markdown(rows, *judge), measured::legend(*judge));
        page += &format!("\n## Cost\n\n{}\n{}\n\n## Recipes\n\n", cost::markdown(costs), cost::LEGEND);
        for (entry, recipe) in entries.iter().zip(recipes) {
            page += &format!("- {}: {}.\n", text::markdown(&entry.subject.title), text::markdown(recipe));
        }
        page + &missing_markdown(entries)
    }

    fn html(&self, entries: &[&Entry], found: &Found<'_>, drawn: &Drawn) -> Result<String> {
        let title = self.title();
        let worst = self.frame.worst(&self.models)?;
        let costs = html! {
            @for cost in &found.costs { (page::row(&cost.title, &cost.cells(), Some(&cost.device()))) }
        };
        let body = html! {
            h1 { (title) }
            p class="soft" { "Networks trained with their own recipes, by shadegrad " (env!("CARGO_PKG_VERSION")) "." }
            (missing(entries))
            (section("Settings", &self.settings(found)))
            (section("Results", &html! {
                (measured::html(&found.rows, found.judge))
                p { (measured::legend(found.judge)) }
            }))
            (section("Cost", &html! {
                (page::table("Cost", &cost::HEAD, &costs))
                p { (cost::LEGEND) }
            }))
            (section("Recipes", &self.recipes(found)))
            (section("Accuracy against epoch", &page::grid(&drawn.curves)))
            @if entries.len() > 1 {
                (section("All networks", &html! { div class="single" { (page::figure(&drawn.combined)) } }))
            }
            (section("Confusion", &html! { (found.judge.about_confusion()) (page::grid(&drawn.confusions)) }))
            (section("The worst digits", &worst))
            (section("Runs", &runs(entries)))
        };
        Ok(page::page(&title, &body))
    }

    fn settings(&self, found: &Found<'_>) -> Markup {
        let record = &found.first.record;
        let judged = match found.judge.is_held_out {
            true => "drawn separately for each seed; the test set was not used",
            false => "after every epoch",
        };
        page::facts(&[
            ("Data", html! { (record.data) ": " (grouped(record.train_images as u64)) " training images" }),
            ("Evaluated on", html! { (found.judge.words()) ", " (judged) }),
            ("Versions", html! { "shadegrad " (env!("CARGO_PKG_VERSION")) ", wgpu " (version::wgpu()) }),
            ("Written", html! { (today()) }),
            ("Command", page::command(&self.frame.command)),
        ])
    }

    /// How each network was trained, and the command to repeat it.
    fn recipes(&self, found: &Found<'_>) -> Markup {
        html! {
            @for ((entry, recipe), command) in self.models.iter().zip(&found.recipes).zip(&self.commands) {
                h3 { (entry.subject.title) }
                (page::facts(&[
                    ("Network", html! { (entry.subject.about) }),
                    ("Recipe", html! { (recipe) }),
                    ("Single run", page::command(command)),
                ]))
            }
        }
    }
}

/// Final accuracy, loss, training time and speed of every network.
fn in_short(found: &Found<'_>) -> String {
    use Align::{Left, Right};
    let [.., accuracy, loss] = measured::names(found.judge);
    let heading = ["", "n", accuracy, loss, "training time", "images/s"];
    let mut table = Table::new(heading, [Left, Right, Right, Right, Right, Right]);
    for (row, cost) in found.rows.iter().zip(&found.costs) {
        let [.., accuracy, loss] = &row.cells;
        table.row([row.title.clone(), row.n.to_string(), accuracy.ours(), loss.ours(), cost.time(), cost.speed()]);
    }
    table.render()
}
