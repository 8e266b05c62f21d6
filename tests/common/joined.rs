//! Compares the files that shader headers list as joined, `// with: shared/linear, shared/pack | pack_wide`, with those
//! that recordings join.

use super::kernels::{configs, for_each_recording};
use shadegrad::gpu::Recording;
use shadegrad::ops::{KernelConfig, OperandSource, edge_cases};
use std::collections::{BTreeMap, BTreeSet};

/// The files of a kernel without suffix, its own first: `conv2d/forward`, `shared/window`, …
pub type Files = Vec<String>;

/// All kernels: those of [`for_each_recording`], and of all edge cases in every form, with buffers and with textures.
pub fn kernels() -> BTreeSet<Files> {
    let mut found = BTreeSet::new();
    for_each_recording(|_, recording| add(&mut found, recording));
    let configs: Vec<KernelConfig> = configs()
        .into_iter()
        .flat_map(|(_, config)| {
            [OperandSource::Buffer, OperandSource::Texture].map(|operands| KernelConfig { operands, ..config })
        })
        .collect();
    for op in edge_cases() {
        let Some(check) = op.checks().into_iter().next() else { continue };
        configs.iter().for_each(|config| add(&mut found, &check.case.recording(config).unwrap()));
    }
    found
}

fn add(found: &mut BTreeSet<Files>, recording: &Recording) {
    for dispatch in recording.dispatches() {
        let name = |path: &str| path.trim_start_matches("shaders/").trim_end_matches(".wgsl").to_string();
        found.insert(dispatch.kernel.sources.iter().map(|source| name(source.path)).collect());
    }
}

/// The groups of alternatives in a header; one file of each group is joined.
pub fn said(text: &str) -> Vec<Vec<String>> {
    let header = text.lines().take_while(|line| line.starts_with("//"));
    let lines = header.filter_map(|line| line.strip_prefix("// with: "));
    let group = |group: &str| {
        let folder = group.split_once('/').map_or("", |(folder, _)| folder).trim();
        let file = |file: &str| if file.contains('/') { file.to_string() } else { format!("{folder}/{file}") };
        group.split('|').map(|name| file(name.trim())).collect()
    };
    lines.flat_map(|line| line.split(',').map(group)).collect()
}

/// All differences between headers and kernels.
pub fn differences(texts: &BTreeMap<String, String>, kernels: &BTreeSet<Files>) -> BTreeSet<String> {
    let said: BTreeMap<&str, _> = texts.iter().map(|(name, text)| (name.as_str(), said(text))).collect();
    let groups = |file: &str| said.get(file).map_or(&[][..], Vec::as_slice);
    let mut differences = BTreeSet::new();
    let mut joined = BTreeSet::new();
    for kernel in kernels {
        let first = &kernel[0];
        for file in kernel {
            for group in groups(file) {
                let there: Vec<&String> = group.iter().filter(|name| kernel.contains(name)).collect();
                if there.len() != 1 {
                    let group = group.join(" | ");
                    differences.insert(format!("{file} says `{group}`, and a kernel of {first} has {there:?}"));
                }
                joined.extend(there.into_iter().map(|name| (file.as_str(), name.as_str())));
            }
        }
        let is_said = |name: &String| kernel.iter().flat_map(|file| groups(file)).flatten().any(|said| said == name);
        for name in kernel.iter().skip(1).filter(|name| !is_said(name)) {
            differences.insert(format!("{name} is joined to {first}, and no file of that kernel says so"));
        }
    }
    for (file, groups) in &said {
        for name in groups.iter().flatten().filter(|name| !joined.contains(&(*file, name.as_str()))) {
            differences.insert(format!("{file} says {name}, and no kernel joins it to that"));
        }
    }
    differences
}
