//! Members of groups: worked out from the seed until a group is changed, kept in a list from then on; it knows no property.

use std::collections::HashMap;

use super::ids::Ref;
use super::seeds::Seeds;

/// A changed group's members; places never move, so that a listing under way misses nobody.
#[derive(Debug, Clone, Default)]
struct List {
    places: Vec<Option<Ref>>,
    index: HashMap<Ref, u32>,
}

/// All changed groups' members.
#[derive(Debug, Clone, Default)]
pub(crate) struct Links {
    lists: HashMap<u32, List>,
}

impl Links {
    fn open(&mut self, seeds: &Seeds, seeded: u32, group: u32) -> &mut List {
        self.lists.entry(group).or_insert_with(|| {
            let mut list = List::default();
            let count = if group < seeded { seeds.members(group) } else { 0 };
            for place in 0..count {
                let member = seeds.member(group, place);
                list.places.push(Some(member));
                list.index.insert(member, place);
            }
            list
        })
    }

    /// Adds a member; false when it is there already.
    pub(crate) fn add(&mut self, seeds: &Seeds, seeded: u32, group: u32, member: Ref) -> bool {
        let list = self.open(seeds, seeded, group);
        if list.index.contains_key(&member) {
            return false;
        }
        list.index.insert(member, u32::try_from(list.places.len()).unwrap_or(u32::MAX));
        list.places.push(Some(member));
        true
    }

    /// Takes a member out; false when it is not there.
    pub(crate) fn remove(&mut self, seeds: &Seeds, seeded: u32, group: u32, member: Ref) -> bool {
        let list = self.open(seeds, seeded, group);
        let Some(place) = list.index.remove(&member) else { return false };
        if let Some(place) = list.places.get_mut(place as usize) {
            *place = None;
        }
        true
    }

    pub(crate) fn places(&self, seeds: &Seeds, seeded: u32, group: u32) -> u32 {
        match self.lists.get(&group) {
            Some(list) => u32::try_from(list.places.len()).unwrap_or(u32::MAX),
            None if group < seeded => seeds.members(group),
            None => 0,
        }
    }

    pub(crate) fn at(&self, seeds: &Seeds, seeded: u32, group: u32, place: u32) -> Option<Ref> {
        if !self.lists.is_empty()
            && let Some(list) = self.lists.get(&group)
        {
            return list.places.get(place as usize).copied().flatten();
        }
        (group < seeded && place < seeds.members(group)).then(|| seeds.member(group, place))
    }

    pub(crate) fn place(&self, seeds: &Seeds, seeded: u32, group: u32, member: Ref) -> Option<u32> {
        match self.lists.get(&group) {
            Some(list) => list.index.get(&member).copied(),
            None if group < seeded => seeds.place(group, member),
            None => None,
        }
    }
}
