//! What is known to be wrong: kernels on adapters and drivers, each with its reason.
//!
//! There are two lists of one form. `assets/known-bad.toml` is carried in the program: what people have judged, a driver's
//! bug with its report for a reason. `known-bad.toml` in the user's cache folder is what [`mod@crate::verify`] has found on
//! this machine; it may be edited, and may be lost. The tuner refuses what is on either ([`KnownBad::reason`]), and
//! `verify` says when an entry passes after all.

use crate::error::{Error, Result};
use crate::files::{Links, read_own_text_if_there, replace_file};
use crate::gpu::Gpu;
use crate::kept;
use crate::text::toml_problem;
use crate::verify::Launch;
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::path::{Path, PathBuf};

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownFault {
    /// A part of the adapter's name, upper or lower case.
    pub adapter: String,
    /// A part of the driver with its version; all drivers if empty.
    #[serde(default)]
    pub driver: String,
    /// The kernel as `verify` prints it: `conv2d/forward`.
    pub kernel: String,
    /// A part of the variant as `verify` prints it; all variants if empty.
    #[serde(default)]
    pub variant: String,
    /// What happens, and where it was reported.
    pub reason: String,
    /// Of the shaders' texts, if a verification has found it: other texts may be right. See [`Launch::sources`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sources: Option<String>,
}

impl KnownFault {
    /// What a verification has found.
    pub fn found(gpu: &Gpu, launch: &Launch, reason: String) -> KnownFault {
        let Launch { kernel, variant, sources } = launch.clone();
        KnownFault {
            adapter: gpu.info.name.clone(),
            driver: gpu.driver(),
            kernel,
            variant,
            reason,
            sources: Some(sources),
        }
    }

    /// Whether it is about this device.
    fn is_of(&self, adapter: &str, driver: &str) -> bool {
        let contains = |whole: &str, part: &str| whole.to_lowercase().contains(&part.to_lowercase());
        contains(adapter, &self.adapter) && contains(driver, &self.driver)
    }

    /// Whether it is about this kernel. What was found is about exactly that one; else a part of the variant is enough.
    fn is_about(&self, launch: &Launch) -> bool {
        let variant = match &self.sources {
            Some(sources) => self.variant == launch.variant && *sources == launch.sources,
            None => launch.variant.contains(&self.variant),
        };
        self.kernel == launch.kernel && variant
    }
}

/// A file of them.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    bad: Vec<KnownFault>,
}

const SHARED: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/assets/known-bad.toml"));

/// What is known of one device.
#[derive(Clone, Debug, Default)]
pub struct KnownBad {
    entries: Vec<KnownFault>,
}

impl KnownBad {
    /// The user's list in a cache folder.
    pub fn path(folder: &Path) -> PathBuf {
        folder.join("known-bad.toml")
    }

    /// Both lists, as far as they are about a device. A damaged list of the user's is an error.
    pub fn open(folder: Option<&Path>, gpu: &Gpu) -> Result<KnownBad> {
        let mut entries = entries_of(SHARED, Path::new("assets/known-bad.toml"))?;
        entries.extend(folder.map(read).transpose()?.unwrap_or_default());
        entries.retain(|entry| entry.is_of(&gpu.info.name, &gpu.driver()));
        Ok(KnownBad { entries })
    }

    /// Every kernel that is known to be wrong.
    pub fn entries(&self) -> &[KnownFault] {
        &self.entries
    }

    /// The entry about a kernel, if it is known to be wrong.
    pub fn entry(&self, launch: &Launch) -> Option<&KnownFault> {
        self.entries.iter().find(|entry| entry.is_about(launch))
    }

    /// The same, if somebody has judged it, not a verification on this machine.
    pub fn judged(&self, launch: &Launch) -> Option<&KnownFault> {
        self.entries.iter().find(|entry| entry.sources.is_none() && entry.is_about(launch))
    }

    /// Why a kernel is not to be taken.
    pub fn reason(&self, launch: &Launch) -> Option<String> {
        self.entry(launch).map(|entry| format!("known to be wrong: {}", entry.reason))
    }

    /// Writes what a verification has found to the list in a cache folder: `found` is added, and what an earlier one had
    /// found of `cleared` is taken out. The list is written only if that changes it; says whether it was.
    pub fn remember(folder: &Path, gpu: &Gpu, found: &[KnownFault], cleared: &[Launch]) -> Result<bool> {
        let (adapter, driver) = (gpu.info.name.as_str(), gpu.driver());
        let is_cleared = |entry: &KnownFault| {
            let same_device = entry.adapter == adapter && entry.driver == driver;
            entry.sources.is_some() && same_device && cleared.iter().any(|launch| entry.is_about(launch))
        };
        let change = |before: &[KnownFault]| {
            let mut bad: Vec<KnownFault> = before.iter().filter(|entry| !is_cleared(entry)).cloned().collect();
            for entry in found {
                let same = |known: &KnownFault| KnownFault { reason: String::new(), ..known.clone() };
                if !bad.iter().any(|known| same(known) == same(entry)) {
                    bad.push(entry.clone());
                }
            }
            (bad != before).then_some(bad)
        };
        // A folder that cannot be written does not matter where nothing is to be written.
        if change(&read(folder)?).is_none() {
            return Ok(false);
        }
        let path = KnownBad::path(folder);
        let _lock = kept::locked(&path)?;
        let Some(bad) = change(&read(folder)?) else { return Ok(false) };
        let text = toml::to_string(&File { bad }).map_err(|error| Error::file(&path, error.to_string()))?;
        replace_file(&path, |file| file.write_all(text.as_bytes()))?;
        Ok(true)
    }
}

/// The entries of a list; `origin` says in errors where the text is from.
///
/// # Errors
///
/// [`Error::File`] when it is no list, or an entry of it lacks what it needs.
pub fn entries_of(text: &str, origin: &Path) -> Result<Vec<KnownFault>> {
    let file: File = toml::from_str(text).map_err(|error| Error::file(origin, toml_problem(&error)))?;
    match file.bad.iter().find(|entry| entry.adapter.is_empty() || entry.kernel.is_empty() || entry.reason.is_empty()) {
        Some(entry) => Err(Error::file(origin, format!("an entry needs adapter, kernel and reason, got {entry:?}"))),
        None => Ok(file.bad),
    }
}

/// The user's list; empty where there is none.
fn read(folder: &Path) -> Result<Vec<KnownFault>> {
    let path = KnownBad::path(folder);
    read_own_text_if_there(&path, Links::Follow)?.map_or(Ok(Vec::new()), |text| entries_of(&text, &path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn launch(kernel: &str, variant: &str, sources: &str) -> Launch {
        Launch { kernel: kernel.into(), variant: variant.into(), sources: sources.into() }
    }

    #[test]
    fn the_shared_list_can_be_read() {
        entries_of(SHARED, Path::new("assets/known-bad.toml")).unwrap();
    }

    #[test]
    fn an_entry_is_about_what_it_says() {
        let text = "[[bad]]\nadapter = 'acme'\ndriver = 'v1.2'\nkernel = 'conv2d/forward'\nvariant = 'staged'\n\
                    reason = 'wrong in the last row'\n";
        let [entry] = &entries_of(text, Path::new("list")).unwrap()[..] else { panic!("one entry expected") };
        assert!(entry.is_of("ACME GPU 3000", "acme v1.2.3"));
        assert!(!entry.is_of("other", "acme v1.2.3") && !entry.is_of("ACME GPU 3000", "v1.3"));
        let staged = "staged 64x64 (8x8 each), buffer, 512 groups";
        assert!(entry.is_about(&launch("conv2d/forward", staged, "00")));
        assert!(!entry.is_about(&launch("conv2d/forward", "register 8x8, buffer", "00")));
        assert!(!entry.is_about(&launch("conv2d/forward_naive", staged, "00")));
        let found = KnownFault { sources: Some("00".into()), ..entry.clone() };
        assert!(!found.is_about(&launch("conv2d/forward", staged, "00")), "only a part of the variant");
        let found = KnownFault { variant: staged.into(), ..found };
        assert!(found.is_about(&launch("conv2d/forward", staged, "00")));
        assert!(!found.is_about(&launch("conv2d/forward", staged, "01")), "another text of the shader");
    }

    #[test]
    fn nonsense_is_named() {
        for (text, says) in [
            ("[[bad]]\nadapter = 'a'\nkernel = 'k'\n", "reason"),
            ("[[bad]]\nadapter = ''\nkernel = 'k'\nreason = 'r'\n", "needs adapter"),
            ("[[good]]\n", "good"),
            ("[[bad]]\nadapter = 'a'\nkernel = 'k'\nreason = 'r'\ncolour = 'red'\n", "colour"),
        ] {
            let message = entries_of(text, Path::new("list.toml")).unwrap_err().to_string();
            assert!(message.contains(says) && message.contains("list.toml"), "{message}");
        }
    }
}
