//! The yardstick: `ldapsearch` reads the same objects with the same attributes in pages of 1000 into files.
//!
//! It must not share code with the product, except for the names of the attributes that the product asks for.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use tenantry::model::ObjectKind;
use tenantry_active_directory::ActiveDirectory;
use tenantry_live::{LdapClient, LdifEntry, parse_ldif};

use crate::measure::{Cost, measured};

const PAGED: &str = "pr=1000/noprompt";
/// Names come with the ids of the objects that they name, as the importer needs them.
const EXTENDED_NAMES: &str = "extendedDn=1";

/// What is read, by which filter.
const READS: [(ObjectKind, &str); 3] = [
    (ObjectKind::Group, "(objectCategory=group)"),
    (ObjectKind::User, "(&(objectCategory=person)(objectClass=user))"),
    (ObjectKind::Computer, "(objectCategory=computer)"),
];

/// Whether names come as they are or with ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Names {
    Plain,
    Extended,
}

/// Reads everything into files in the folder and returns what the three searches cost together.
pub(crate) fn read(client: &LdapClient, server: u32, base: &str, folder: &Path, names: Names) -> Cost {
    let controls: &[&str] = match names {
        Names::Plain => &[PAGED],
        Names::Extended => &[PAGED, EXTENDED_NAMES],
    };
    let read = |(kind, filter): (ObjectKind, &str)| {
        let attributes = ActiveDirectory::attributes_read(kind);
        let file = file_of(folder, kind);
        measured(&mut client.search_to_file(controls, base, filter, &attributes, &file), server).1
    };
    READS.into_iter().map(read).fold(Cost::default(), Cost::plus)
}

fn file_of(folder: &Path, kind: ObjectKind) -> PathBuf {
    folder.join(format!("{}.ldif", kind.as_str()))
}

/// What an import of the files in the folder has to bring.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) users: usize,
    pub(crate) groups: usize,
    pub(crate) computers: usize,
    pub(crate) memberships: usize,
}

impl Expected {
    /// Counts what was read, without what an import leaves out by design.
    pub(crate) fn read(folder: &Path) -> Self {
        let entries = |kind| -> Vec<LdifEntry> {
            let text = std::fs::read_to_string(file_of(folder, kind)).unwrap();
            parse_ldif(&text).unwrap().into_iter().filter(|entry| entry.values("objectGUID").next().is_some()).collect()
        };
        let name = |entry: &LdifEntry| entry.text("sAMAccountName").unwrap_or_default().to_owned();
        let users: Vec<_> = entries(ObjectKind::User)
            .into_iter()
            .filter(|entry| !["krbtgt", "Guest"].contains(&name(entry).as_str()))
            .collect();
        let managed =
            |entry: &LdifEntry| entry.texts("objectClass").iter().any(|class| class.contains("ManagedServiceAccount"));
        let computers: Vec<_> = entries(ObjectKind::Computer).into_iter().filter(|entry| !managed(entry)).collect();
        // Bit 1 marks the groups of CN=Builtin.
        let builtin =
            |entry: &LdifEntry| entry.text("groupType").is_some_and(|flags| flags.parse::<i64>().unwrap() & 1 != 0);
        let groups: Vec<_> = entries(ObjectKind::Group).into_iter().filter(|entry| !builtin(entry)).collect();
        let explicit: usize = groups.iter().map(|group| group.texts("member").len()).sum();
        let primary = users.iter().chain(&computers).filter(|entry| entry.text("primaryGroupID").is_some());
        let primary_groups: BTreeSet<_> = primary.clone().filter_map(|entry| entry.text("primaryGroupID")).collect();
        assert!(
            primary_groups.is_subset(&["513", "515", "516"].into()),
            "primary groups are imported: {primary_groups:?}"
        );
        Self {
            users: users.len(),
            groups: groups.len(),
            computers: computers.len(),
            memberships: explicit + primary.count(),
        }
    }
}
