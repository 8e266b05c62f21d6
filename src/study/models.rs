//! Any networks, each trained with its own recipe: presets and network files.

use super::paper::MEASURES;
use super::plan::Subject;
use crate::error::{Error, Result};
use crate::network::{Network, PRESETS};
use crate::run::Validation;
use crate::train::{OptionError, Recipe};
use std::path::Path;

/// The networks with these names and files. `epochs` overrides the recipes.
pub(super) fn subjects(models: &[String], epochs: Option<usize>, validation: Validation) -> Result<Vec<Subject>> {
    let subjects: Vec<_> = models.iter().map(|model| subject(model, epochs, validation)).collect::<Result<_>>()?;
    for (index, Subject { key, model, .. }) in subjects.iter().enumerate() {
        if let Some(other) = subjects[..index].iter().find(|other| other.key == *key) {
            let both = format!("{} and {model}", other.model);
            let problem = format!("must not name {both}, which would share the run folders of `{key}`; rename a file");
            return Err(Error::Option(OptionError::new("models", problem)));
        }
    }
    Ok(subjects)
}

fn subject(model: &str, epochs: Option<usize>, validation: Validation) -> Result<Subject> {
    let network = Network::open(model)?;
    let options = network.recipe.complete()?;
    let preset = PRESETS.iter().find(|preset| preset.name == model);
    let stem = || Path::new(model).file_stem().map_or(model.into(), |stem| stem.to_string_lossy());
    let key = preset.map_or_else(stem, |preset| preset.name.into()).into_owned();
    Ok(Subject {
        title: key.clone(),
        key,
        model: model.to_string(),
        recipe: without_epochs(&network.recipe),
        network,
        epochs: epochs.unwrap_or(options.epochs),
        loss: None,
        validation,
        printed: [None; MEASURES.len()],
        about: preset.map_or_else(|| format!("the network of {model}"), |preset| preset.about().to_string()),
    })
}

/// A recipe with this number of epochs, in words: `epochs 40, optimizer adamw`.
pub(super) fn recipe_in_words(recipe: &Recipe, epochs: usize) -> String {
    let rest = without_epochs(recipe);
    let rest = if rest.is_empty() { String::new() } else { format!(", {rest}") };
    format!("epochs {epochs}{rest}; otherwise the defaults of shadegrad train")
}

fn without_epochs(recipe: &Recipe) -> Recipe {
    let mut recipe = recipe.clone();
    recipe.length.epochs = None;
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
        assert_eq!(epochs, [("plain", 5), ("small", 3), ("case2", 15)]);
        let (recipe, validation) = (found[1].recipe.to_string(), found[1].validation);
        assert_eq!((recipe.as_str(), validation), ("optimizer adamw, learning rate 0.002", held_out));
        let recipe = Network::open(&small).unwrap().recipe;
        assert!(recipe_in_words(&recipe, 7).starts_with("epochs 7, optimizer adamw, learning rate 0.002; "));
        let found = subjects(&[small], Some(9), Validation::Test).unwrap();
        assert_eq!(
            (found[0].epochs, found[0].training(4).unwrap().epochs, found[0].training(4).unwrap().seed),
            (9, 9, 4)
        );
        let error = subjects(&[plain.clone(), plain], None, Validation::Test).err().unwrap().to_string();
        assert!(error.contains("would share the run folders of `plain`"), "{error}");
    }
}
