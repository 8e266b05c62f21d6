//! [`Plan::share`]: tensors that are never alive at the same time share a storage.

use super::{Element, Pass, Plan, Region, Storage, StorageId, TensorId};
use crate::lifetime::{Lifetime, assign};
use std::collections::HashMap;
use std::collections::hash_map::Entry;

impl Plan {
    /// Places tensors that are alive only during part of a section, such as activations and their gradients, in shared
    /// storages. All sections must have been recorded: two tensors share a storage only if no section writes one of
    /// them while the other is still to be read.
    ///
    /// A storage is not shared if it holds one of the tensors in `kept`, which the host accesses or which must survive
    /// from step to step, or a tensor that a section reads before writing it. Ids of tensors remain valid; ids of
    /// storages change.
    pub fn share(&mut self, sections: &[&[Pass]], kept: &[TensorId]) {
        let mut lives = vec![Lifetime::default(); self.storages.len()];
        let mut stays = vec![false; self.storages.len()];
        for id in kept {
            stays[self.get(*id).region.storage.0] = true;
        }
        for (section, passes) in sections.iter().enumerate() {
            for (at, pass) in passes.iter().enumerate() {
                for id in &pass.inputs {
                    let StorageId(storage) = self.get(*id).region.storage;
                    stays[storage] |= !lives[storage].knows(section);
                    lives[storage].reach(section, at);
                }
                for id in &pass.outputs {
                    lives[self.get(*id).region.storage.0].reach(section, at);
                }
            }
        }
        let mut slot_of = vec![None; self.storages.len()];
        for element in [Element::Real, Element::Int] {
            let takes_turns = |storage: &usize| !stays[*storage] && self.storages[*storage].element == element;
            let of_element: Vec<usize> = (0..self.storages.len()).filter(takes_turns).collect();
            let sizes: Vec<usize> = of_element.iter().map(|storage| self.storages[*storage].len).collect();
            let lives: Vec<Lifetime> = of_element.iter().map(|storage| std::mem::take(&mut lives[*storage])).collect();
            for (storage, slot) in of_element.into_iter().zip(assign(&sizes, &lives)) {
                slot_of[storage] = Some((element, slot));
            }
        }
        self.merge(&slot_of);
    }

    /// Merges all storages that have the same slot. The merged storage takes the position of the first of them and the
    /// size and name of the largest.
    fn merge(&mut self, slot_of: &[Option<(Element, usize)>]) {
        let mut merged: Vec<Storage> = Vec::new();
        let mut now: Vec<StorageId> = Vec::new();
        let mut made = HashMap::new();
        for (storage, slot) in std::mem::take(&mut self.storages).into_iter().zip(slot_of) {
            let before = slot.and_then(|slot| match made.entry(slot) {
                Entry::Occupied(entry) => Some(*entry.get()),
                Entry::Vacant(entry) => {
                    entry.insert(merged.len());
                    None
                }
            });
            let Some(before) = before else {
                now.push(StorageId(merged.len()));
                merged.push(storage);
                continue;
            };
            let shared = &mut merged[before];
            now.push(StorageId(before));
            shared.in_turns = true;
            if storage.len > shared.len {
                (shared.name, shared.len) = (storage.name, storage.len);
            }
        }
        for tensor in &mut self.tensors {
            tensor.region = Region { storage: now[tensor.region.storage.0], ..tensor.region };
        }
        self.storages = merged;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{Activation, activation};
    use proptest::prelude::*;
    use std::collections::HashSet;

    /// Passes that read a tensor and write another, by the letters of their names: `ab` is a pass from `a` to `b`.
    fn passes(plan: &mut Plan, lens: &HashMap<char, usize>, text: &str) -> Vec<Pass> {
        let mut tensor = |name: char| {
            let known = plan.tensors.iter().position(|tensor| tensor.name == name.to_string());
            known.map_or_else(|| plan.tensor(name, &[lens[&name]], Element::Real), TensorId)
        };
        let pairs = text.split_whitespace().map(|pass| {
            let [from, to] = [0, 1].map(|at| tensor(pass.chars().nth(at).unwrap()));
            (pass, from, to)
        });
        let pass = |(label, from, to): (&str, TensorId, TensorId)| {
            // The operation does not matter here.
            let op = activation::Forward { activation: Activation::Relu, len: 1 };
            Pass { label: label.to_string(), op: Box::new(op), inputs: vec![from], outputs: vec![to] }
        };
        pairs.map(pass).collect()
    }

    /// The storages after sharing: name, length, and the letters of their tensors. `kept` holds letters too.
    fn shared(lens: &[(char, usize)], sections: &[&str], kept: &str) -> Vec<(String, usize, String)> {
        let mut plan = Plan::default();
        let lens = lens.iter().copied().collect();
        let sections: Vec<Vec<Pass>> = sections.iter().map(|text| passes(&mut plan, &lens, text)).collect();
        let is_kept = |id: &TensorId| kept.contains(&plan.get(*id).name);
        let kept: Vec<TensorId> = (0..plan.tensors.len()).map(TensorId).filter(is_kept).collect();
        plan.share(&sections.iter().map(Vec::as_slice).collect::<Vec<_>>(), &kept);
        let holds = |(index, storage): (usize, &Storage)| {
            let inside = plan.tensors.iter().filter(|tensor| tensor.region.storage == StorageId(index));
            let holds: String = inside.map(|tensor| tensor.name.as_str()).collect();
            assert_eq!(storage.in_turns, holds.len() > 1, "{}", storage.name);
            (storage.name.clone(), storage.len, holds)
        };
        plan.storages.iter().enumerate().map(holds).collect()
    }

    fn storage(name: &str, len: usize, holds: &str) -> (String, usize, String) {
        (name.into(), len, holds.into())
    }

    #[test]
    fn a_chain_takes_two_storages() {
        let lens = [('x', 7), ('a', 4), ('b', 5), ('c', 3), ('y', 2)];
        let expected = [storage("x", 7, "x"), storage("a", 4, "ac"), storage("b", 5, "b"), storage("y", 2, "y")];
        assert_eq!(shared(&lens, &["xa ab bc cy"], "y"), expected);
        // If y is not kept, it shares the storage of b; x is read before it is written, so it is not shared.
        let expected = [storage("x", 7, "x"), storage("a", 4, "ac"), storage("b", 5, "by")];
        assert_eq!(shared(&lens, &["xa ab bc cy"], ""), expected);
    }

    #[test]
    fn a_storage_is_named_after_its_largest_tensor() {
        let lens = [('x', 1), ('a', 4), ('b', 5), ('c', 9)];
        assert_eq!(shared(&lens, &["xa ab bc"], "x")[1], storage("c", 9, "ac"));
    }

    #[test]
    fn what_is_read_later_keeps_its_place_until_then() {
        // As in a backward pass: the last pass reads a again.
        let lens = [('x', 1), ('a', 4), ('b', 4), ('c', 4), ('d', 4)];
        let expected = [storage("x", 1, "x"), storage("a", 4, "a"), storage("b", 4, "bd"), storage("c", 4, "c")];
        assert_eq!(shared(&lens, &["xa ab bc cd ad"], ""), expected);
    }

    #[test]
    fn all_sections_are_taken_into_account() {
        // Never alive at once in the first section, but in the second.
        let lens = [('x', 1), ('a', 3), ('b', 3), ('c', 3)];
        assert_eq!(shared(&lens, &["xa ab bc"], "").len(), 3);
        assert_eq!(shared(&lens, &["xa ab bc", "xa xc ab"], "").len(), 4);
        // The second section reads a tensor that it has not written.
        let expected = [storage("x", 1, "x"), storage("a", 3, "a"), storage("b", 3, "b"), storage("c", 3, "c")];
        assert_eq!(shared(&lens, &["xa ab bc", "ac"], ""), expected);
    }

    #[test]
    fn integers_and_numbers_do_not_share() {
        let mut plan = Plan::default();
        let [x, a, b] = ["x", "a", "b"].map(|name| plan.tensor(name, &[4], Element::Real));
        let m = plan.tensor("m", &[4], Element::Int);
        let pass = |from, to| {
            let op = activation::Forward { activation: Activation::Relu, len: 4 };
            Pass { label: "pass".into(), op: Box::new(op), inputs: vec![from], outputs: vec![to] }
        };
        plan.share(&[&[pass(x, a), pass(a, b), pass(b, m)]], &[]);
        let names: Vec<_> = plan.storages.iter().map(|storage| storage.name.as_str()).collect();
        assert_eq!(names, ["x", "a", "b", "m"]);
    }

    proptest! {
        /// Over random sections, each run twice: a pass reads what was last written to the tensor, and a kept tensor
        /// still holds its value at the end.
        #[test]
        fn what_is_read_is_what_was_written(
            lens in prop::collection::vec(1..9usize, 12),
            sections in prop::collection::vec(prop::collection::vec((0..12u8, 0..12u8), 0..15), 1..4),
            kept in "[a-l]{0,3}",
        ) {
            let letter = |index: u8| (b'a' + index) as char;
            let lens: HashMap<char, usize> = lens.into_iter().enumerate().map(|(i, len)| (letter(i as u8), len)).collect();
            let text = |section: &Vec<(u8, u8)>| {
                let pairs = section.iter().filter(|(from, to)| from != to);
                pairs.map(|&(from, to)| format!("{}{} ", letter(from), letter(to))).collect::<String>()
            };
            let mut plan = Plan::default();
            let sections: Vec<Vec<Pass>> =
                sections.iter().map(|section| passes(&mut plan, &lens, &text(section))).collect();
            let is_kept = |id: &TensorId| kept.contains(&plan.get(*id).name);
            let kept: Vec<TensorId> = (0..plan.tensors.len()).map(TensorId).filter(is_kept).collect();
            plan.share(&sections.iter().map(Vec::as_slice).collect::<Vec<_>>(), &kept);

            // The tensor that each element of the merged storages was last written for.
            let mut writer: Vec<Vec<Option<TensorId>>> =
                plan.storages.iter().map(|storage| vec![None; storage.len]).collect();
            let mut alive = HashSet::new();
            for pass in sections.iter().chain(&sections).flatten() {
                let elements = |id: TensorId| {
                    let region = plan.get(id).region;
                    (region.storage.0, region.offset..region.offset + region.len)
                };
                for id in &pass.inputs {
                    let (storage, range) = elements(*id);
                    let held = writer[storage][range].iter();
                    // Either never written, or last written for this tensor.
                    let whole = held.clone().all(|by| *by == Some(*id)) || held.clone().all(Option::is_none);
                    prop_assert!(whole, "{}: {} is gone", pass.label, plan.get(*id).name);
                    for output in &pass.outputs {
                        prop_assert!(elements(*output).0 != storage, "{}: reads and writes one storage", pass.label);
                    }
                }
                for id in &pass.outputs {
                    let (storage, range) = elements(*id);
                    writer[storage][range].fill(Some(*id));
                    alive.insert(*id);
                }
            }
            for id in kept.iter().filter(|id| alive.contains(id)) {
                let region = plan.get(*id).region;
                let held = &writer[region.storage.0][region.offset..region.offset + region.len];
                prop_assert!(held.iter().all(|by| *by == Some(*id)), "{} was not kept", plan.get(*id).name);
            }
        }
    }
}
