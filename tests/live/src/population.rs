//! A made-up company in LDIF: the same for the same numbers, with everything that importers stumble over.
//!
//! It must not hold the name of a real person or company.

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::ldif::LdifWriter;

const GIVEN: [&str; 28] = [
    "Anna",
    "Björn",
    "Chloé",
    "Dmitri",
    "Éva",
    "Frédéric",
    "Günther",
    "Håkon",
    "İpek",
    "José",
    "Kim",
    "Łukasz",
    "Maria",
    "Niño",
    "Ólafur",
    "Petra",
    "Quentin",
    "Renée",
    "Søren",
    "Tomáš",
    "Ulla",
    "Václav",
    "Wei",
    "Xin",
    "Yosef",
    "Željko",
    "太郎",
    "花子",
];
const FAMILY: [&str; 25] = [
    "Andersson",
    "Brüning",
    "Çelik",
    "Dvořák",
    "Ekström",
    "Fernández",
    "Größ",
    "Hansen",
    "Ivanov",
    "Jørgensen",
    "Kowalski",
    "Lefèvre",
    "Müller",
    "Nguyễn",
    "O'Brien",
    "Peña",
    "Quist",
    "Ruiz",
    "Šimek",
    "Tanaka",
    "Ünal",
    "Vogel",
    "Weiß",
    "Yılmaz",
    "山田",
];
const SITES: [&str; 5] = ["Stockholm", "Köln", "São Paulo", "東京", "Wien, Süd"];
const FOLDERS: [&str; 5] = ["People", "Groups", "Computers", "Contacts", "Service"];

/// Names that need escaping in a distinguished name or a filter, or that look like something else.
const AWKWARD: [&str; 8] = [
    "Doe, Jane (extern)",
    "#hash first",
    "A+B \"quoted\"",
    "back\\slash",
    "semi;colon=equals",
    "less<than>more",
    "star*and/slash",
    " spaces around ",
];

/// Groups nested in each other, one in the next.
const DEPTH: usize = 10;

/// A member that belongs to a domain that is not there.
const FOREIGN_SID: &str = "S-1-5-21-1-2-3-1234";

/// How many of each kind, and the seed of all choices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Population {
    /// Users numbered from 0; the special ones come on top.
    pub users: usize,
    /// Security and distribution groups with 20 members each; the special ones come on top.
    pub groups: usize,
    /// Computers.
    pub computers: usize,
    /// Contacts.
    pub contacts: usize,
    /// Members of the one large group; at most the number of users.
    pub large_group: usize,
    /// Decides who is a member of what.
    pub seed: u64,
}

impl Population {
    /// Returns a population with one of everything that is special and few of the rest: loads in a second.
    pub const fn small() -> Self {
        Self { users: 60, groups: 12, computers: 8, contacts: 6, large_group: 40, seed: 7 }
    }

    /// Returns some thousand objects and a group of 4,000 members: loads in half a minute, once.
    pub const fn thousands() -> Self {
        Self { users: 4_200, groups: 150, computers: 250, contacts: 60, large_group: 4_000, seed: 7 }
    }

    /// Returns the 10,000 users that speed is measured by: loads in two minutes, once.
    pub const fn ten_thousand() -> Self {
        Self { users: 10_000, groups: 400, computers: 500, contacts: 100, large_group: 3_000, seed: 7 }
    }

    /// Returns how many objects of class `user` there are that are people: numbered, awkwardly named,
    /// without a family name, with odd values, and one `inetOrgPerson`.
    pub const fn people(&self) -> usize {
        self.users + AWKWARD.len() + 3
    }

    /// Returns how many groups there are: numbered, large, nested, two in a loop, foreign, and empty.
    pub const fn all_groups(&self) -> usize {
        self.groups + 1 + DEPTH + 2 + 1 + 1
    }

    /// Returns how many users are disabled.
    pub const fn disabled(&self) -> usize {
        self.users.div_ceil(DISABLED_EVERY)
    }

    /// Returns the distinguished name of the container of everything.
    pub fn root_dn(&self, base_dn: &str) -> String {
        format!("OU=Company,{base_dn}")
    }

    /// Returns the distinguished name of a numbered user.
    pub fn user_dn(&self, number: usize, base_dn: &str) -> String {
        let (given, family) = name_of(number);
        let site = escape(SITES[number % SITES.len()]);
        format!("CN={given} {family} {number:05},OU={site},OU=People,{}", self.root_dn(base_dn))
    }

    /// Returns a name for images that hold this text, so that a changed generator never meets an old image.
    pub(crate) fn name(&self, ldif: &str) -> String {
        let mut hasher = DefaultHasher::new();
        ldif.hash(&mut hasher);
        format!("{}-users-{:016x}", self.users, hasher.finish())
    }

    /// Returns all of it as LDIF for `ldapmodify -a`: containers, objects, then groups.
    pub fn ldif(&self, base_dn: &str) -> String {
        let mut writer = LdifWriter::new();
        self.containers(&mut writer, base_dn);
        self.write_users(&mut writer, base_dn);
        self.special_users(&mut writer, base_dn);
        self.machines(&mut writer, base_dn);
        self.write_contacts(&mut writer, base_dn);
        self.write_groups(&mut writer, base_dn);
        self.special_groups(writer, base_dn).finish()
    }

    fn containers(&self, writer: &mut LdifWriter, base_dn: &str) {
        let root = self.root_dn(base_dn);
        let unit = [("objectClass", "organizationalUnit")];
        writer.entry(&root, unit);
        for folder in FOLDERS {
            writer.entry(&format!("OU={folder},{root}"), unit);
        }
        for site in SITES {
            writer.entry(&format!("OU={},OU=People,{root}", escape(site)), unit);
        }
    }

    fn write_users(&self, writer: &mut LdifWriter, base_dn: &str) {
        for number in 0..self.users {
            let (given, family) = name_of(number);
            let account = format!("u{number:05}");
            let address = format!("{account}@corp.example");
            // 544: enabled and no password needed, because none is set; 546: the same, disabled.
            let control = if number.is_multiple_of(DISABLED_EVERY) { "546" } else { "544" };
            writer.entry(
                &self.user_dn(number, base_dn),
                [
                    ("objectClass", "user".to_owned()),
                    ("sAMAccountName", account),
                    ("userPrincipalName", address.clone()),
                    ("givenName", given.to_owned()),
                    ("sn", family.to_owned()),
                    ("displayName", format!("{family}, {given}")),
                    ("employeeID", format!("E{number:06}")),
                    ("department", format!("Department {}", number % 40)),
                    ("title", "Engineer".to_owned()),
                    ("telephoneNumber", format!("+00 8 {number:06}")),
                    ("proxyAddresses", format!("SMTP:{address}")),
                    ("proxyAddresses", format!("smtp:alias{number}@corp.example")),
                    ("mail", address),
                    ("userAccountControl", control.to_owned()),
                ],
            );
        }
    }

    fn special_users(&self, writer: &mut LdifWriter, base_dn: &str) {
        let people = format!("OU=People,{}", self.root_dn(base_dn));
        for (number, name) in AWKWARD.iter().enumerate() {
            let attributes = [
                ("objectClass", "user"),
                ("sAMAccountName", &format!("awkward{number}")),
                ("sn", name),
                ("displayName", name),
                ("userAccountControl", "544"),
            ];
            writer.entry(&format!("CN={},{people}", escape(name)), attributes);
        }
        let without_family_name =
            [("objectClass", "user"), ("sAMAccountName", "nofamily"), ("userAccountControl", "544")];
        writer.entry(&format!("CN=No Family Name,{people}"), without_family_name);
        let every_byte: Vec<u8> = (0..=255).collect();
        let odd_values: [(&str, &[u8]); 9] = [
            ("objectClass", b"user"),
            ("sAMAccountName", b"oddvalues"),
            ("userAccountControl", b"544"),
            ("sn", b"Odd"),
            ("info", b"two\r\nlines"),
            ("streetAddress", " leading and trailing ".as_bytes()),
            ("otherTelephone", b"+00 1"),
            ("otherTelephone", b"+00 2"),
            ("thumbnailPhoto", &every_byte),
        ];
        writer.entry(&format!("CN=Odd Values,{people}"), odd_values);
        let internet_person = [
            ("objectClass", "inetOrgPerson"),
            ("sAMAccountName", "inetperson"),
            ("sn", "Person"),
            ("userAccountControl", "544"),
        ];
        writer.entry(&format!("CN=Internet Person,{people}"), internet_person);
    }

    fn machines(&self, writer: &mut LdifWriter, base_dn: &str) {
        let root = self.root_dn(base_dn);
        for number in 0..self.computers {
            let attributes = [
                ("objectClass", "computer"),
                ("sAMAccountName", &format!("PC{number:04}$")),
                ("userAccountControl", "4128"),
                ("dNSHostName", &format!("pc{number:04}.corp.example")),
                ("operatingSystem", "Windows 11 Enterprise"),
                ("operatingSystemVersion", "10.0 (22631)"),
            ];
            writer.entry(&format!("CN=PC{number:04},OU=Computers,{root}"), attributes);
        }
        let managed = [
            ("objectClass", "msDS-GroupManagedServiceAccount"),
            ("sAMAccountName", "gmsa1$"),
            ("dNSHostName", "gmsa1.corp.example"),
            ("msDS-ManagedPasswordInterval", "30"),
            ("userAccountControl", "4096"),
        ];
        writer.entry(&format!("CN=gmsa1,OU=Service,{root}"), managed);
    }

    fn write_contacts(&self, writer: &mut LdifWriter, base_dn: &str) {
        for number in 0..self.contacts {
            let attributes = [
                ("objectClass", "contact".to_owned()),
                ("displayName", format!("Partner {number}")),
                ("mail", format!("partner{number}@other.example")),
                // A single value by the server's rules on users and groups, but not here.
                ("description", format!("Partner {number}")),
                ("description", "Zweite Beschreibung äöü".to_owned()),
            ];
            writer.entry(&format!("CN=Partner {number},OU=Contacts,{}", self.root_dn(base_dn)), attributes);
        }
    }

    fn write_groups(&self, writer: &mut LdifWriter, base_dn: &str) {
        let mut random = Random(self.seed);
        for number in 0..self.groups {
            let mut members: Vec<usize> = (0..20).map(|_| random.below(self.users)).collect();
            members.sort_unstable();
            members.dedup();
            let members = members.into_iter().map(|member| self.user_dn(member, base_dn));
            let kind = GROUP_TYPES[number % GROUP_TYPES.len()];
            self.group(writer, base_dn, &format!("Group {number:03}"), kind, members);
        }
        let everybody = (0..self.large_group.min(self.users)).map(|member| self.user_dn(member, base_dn));
        self.group(writer, base_dn, "Large Group", UNIVERSAL, everybody);
    }

    fn special_groups(&self, mut writer: LdifWriter, base_dn: &str) -> LdifWriter {
        let dn_of = |name: &str| format!("CN={name},OU=Groups,{}", self.root_dn(base_dn));
        let mut inner = self.user_dn(0, base_dn);
        for level in 0..DEPTH {
            let name = format!("Nested {level}");
            self.group(&mut writer, base_dn, &name, UNIVERSAL, [inner]);
            inner = dn_of(&name);
        }
        self.group(&mut writer, base_dn, "Loop A", UNIVERSAL, [self.user_dn(1, base_dn)]);
        self.group(&mut writer, base_dn, "Loop B", UNIVERSAL, [dn_of("Loop A")]);
        self.group(&mut writer, base_dn, "Foreign", DOMAIN_LOCAL, [format!("<SID={FOREIGN_SID}>")]);
        self.group(&mut writer, base_dn, "Empty, with comma", UNIVERSAL, []);
        writer
            .line("dn", dn_of("Loop A"))
            .line("changetype", "modify")
            .line("add", "member")
            .line("member", dn_of("Loop B"))
            .end()
    }

    fn group(
        &self,
        writer: &mut LdifWriter,
        base_dn: &str,
        name: &str,
        kind: &str,
        members: impl IntoIterator<Item = String>,
    ) {
        let dn = format!("CN={},OU=Groups,{}", escape(name), self.root_dn(base_dn));
        // Account names allow no comma.
        let account = name.to_lowercase().replace([' ', ','], "-");
        let attributes = [
            ("objectClass", "group".to_owned()),
            ("sAMAccountName", account),
            ("groupType", kind.to_owned()),
            ("description", format!("{name} åäö")),
        ];
        writer.entry(&dn, attributes.into_iter().chain(members.into_iter().map(|member| ("member", member))));
    }
}

const DISABLED_EVERY: usize = 13;
const UNIVERSAL: &str = "-2147483640";
const DOMAIN_LOCAL: &str = "-2147483644";
/// Global, universal and domain local security groups; global and universal distribution groups.
const GROUP_TYPES: [&str; 5] = ["-2147483646", UNIVERSAL, DOMAIN_LOCAL, "2", "8"];

fn name_of(number: usize) -> (&'static str, &'static str) {
    (GIVEN[number % GIVEN.len()], FAMILY[number / GIVEN.len() % FAMILY.len()])
}

/// Escapes a value for a distinguished name (RFC 4514, section 2.4).
fn escape(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len() + 4);
    let last = value.chars().count().saturating_sub(1);
    for (index, character) in value.chars().enumerate() {
        let at_edge = (character == ' ' && (index == 0 || index == last)) || (character == '#' && index == 0);
        if at_edge || ",+\"\\<>;=".contains(character) {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

/// A small generator with a fixed course (splitmix64), so that a population never changes with a library.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        usize::try_from(mixed % limit.max(1) as u64).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ldif::parse_ldif;

    #[test]
    fn the_same_numbers_give_the_same_text_and_another_seed_another() {
        let small = Population::small();
        assert_eq!(small.ldif("DC=x"), small.ldif("DC=x"));
        assert_ne!(small.ldif("DC=x"), Population { seed: 8, ..small }.ldif("DC=x"));
    }

    #[test]
    fn the_counts_are_those_of_the_text() {
        let small = Population::small();
        let entries = parse_ldif(&small.ldif("DC=x")).unwrap();
        let count = |class: &str| entries.iter().filter(|entry| entry.text("objectClass") == Some(class)).count();
        assert_eq!(count("user") + count("inetOrgPerson"), small.people());
        assert_eq!(count("group"), small.all_groups());
        assert_eq!(count("computer"), small.computers);
        assert_eq!(count("contact"), small.contacts);
        let disabled = entries.iter().filter(|entry| entry.text("userAccountControl") == Some("546")).count();
        assert_eq!(disabled, small.disabled());
    }

    #[test]
    fn names_are_escaped_for_a_dn() {
        assert_eq!(escape("#a, b=c "), "\\#a\\, b\\=c\\ ");
        assert_eq!(escape(" "), "\\ ");
        assert_eq!(escape("a b#"), "a b#");
    }
}
