//! `--models`: presets and network files, each trained by the recipe that it carries.

use super::paper::MEASURES;
use super::plan::Subject;
use crate::cli::train::{Validation, recipe_arguments, recipe_options};
use shadegrad::network::{Network, PRESETS, Recipe};
use shadegrad::{Error, Result};
use std::path::Path;

/// The networks of these names and files. `epochs` wins over what recipes say.
pub fn subjects(models: &[String], epochs: Option<usize>, validation: Validation) -> Result<Vec<Subject>> {
    let subjects: Vec<_> = models.iter().map(|model| subject(model, epochs, validation)).collect::<Result<_>>()?;
    for (index, Subject { key, model, .. }) in subjects.iter().enumerate() {
        if let Some(other) = subjects[..index].iter().find(|other| other.key == *key) {
            let both = format!("{} and {model}", other.model);
            return Err(Error::Usage(format!(
                "--models: {both} would share the run folders of `{key}`; rename a file"
            )));
        }
    }
    Ok(subjects)
}

fn subject(model: &str, epochs: Option<usize>, validation: Validation) -> Result<Subject> {
    let recipe = Network::open(model)?.recipe;
    let options = recipe_options(&recipe)?;
    let preset = PRESETS.iter().find(|preset| preset.name == model);
    let stem = || Path::new(model).file_stem().map_or(model.into(), |stem| stem.to_string_lossy());
    let key = preset.map_or_else(stem, |preset| preset.name.into()).into_owned();
    // All of it, so that nobody needs to ask the file again.
    let mut settings = recipe_arguments(&without_epochs(&recipe));
    settings.push(format!("--validation={validation}").into());
    Ok(Subject {
        title: key.clone(),
        key,
        model: model.to_string(),
        epochs: epochs.unwrap_or(options.epochs),
        settings,
        printed: [None; MEASURES.len()],
        about: preset.map_or_else(|| format!("the network of {model}"), |preset| preset.about().to_string()),
    })
}

/// "epochs 40, optimizer adamw": what the recipe says, with these epochs.
pub fn recipe_in_words(recipe: &Recipe, epochs: usize) -> String {
    let rest = without_epochs(recipe);
    let rest = if rest.is_empty() { String::new() } else { format!(", {rest}") };
    format!("epochs {epochs}{rest}; anything else as shadegrad train has it")
}

fn without_epochs(recipe: &Recipe) -> Recipe {
    let mut recipe = recipe.clone();
    recipe.options.retain(|(key, _)| *key != "epochs");
    recipe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recipe_is_what_its_subject_is_trained_by() {
        let place = tempfile::tempdir().unwrap();
        let file = |name: &str, training: &str| {
            let path = place.path().join(name);
            let layers = "[[layers]]\ntype = 'flatten'\n[[layers]]\ntype = 'dense'\nunits = 10\n";
            std::fs::write(&path, format!("input = [28, 28, 1]\n{layers}{training}")).unwrap();
            path.display().to_string()
        };
        let plain = file("plain.toml", "");
        let small = file("small.toml", "[training]\nepochs = 3\noptimizer = 'adamw'\nlearning_rate = 0.002\n");
        let held_out: Validation = "30".parse().unwrap();
        let found = subjects(&[plain.clone(), small.clone(), "case2".into()], None, held_out).unwrap();
        let epochs: Vec<_> = found.iter().map(|subject| (subject.key.as_str(), subject.epochs)).collect();
        assert_eq!(epochs, [("plain", 5), ("small", 3), ("case2", 5)]);
        assert_eq!(found[1].settings, ["--optimizer=adamw", "--learning-rate=0.002", "--validation=30"]);
        let recipe = Network::open(&small).unwrap().recipe;
        assert!(recipe_in_words(&recipe, 7).starts_with("epochs 7, optimizer adamw, learning-rate 0.002; "));
        let found = subjects(&[small], Some(9), Validation::Test).unwrap();
        assert_eq!((found[0].epochs, found[0].settings.len()), (9, 3));
        let error = subjects(&[plain.clone(), plain], None, Validation::Test).err().unwrap().to_string();
        assert!(error.contains("would share the run folders of `plain`"), "{error}");
    }
}
