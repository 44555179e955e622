//! Organisations of any size from a number; it knows no request.

use super::recipient::{Id, Kind, Member, Recipient, Routing, Rule};
use super::state::State;

/// How many there are of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Persons' mailboxes.
    pub users: usize,
    /// Shared mailboxes.
    pub shared: usize,
    /// Rooms.
    pub rooms: usize,
    /// Pieces of equipment.
    pub equipment: usize,
    /// Persons with mail elsewhere.
    pub mail_users: usize,
    /// Persons elsewhere.
    pub contacts: usize,
    /// Distribution groups; one in eight is also in another one, and some are in a circle.
    pub groups: usize,
    /// Members of each group.
    pub members: usize,
    /// Dynamic groups.
    pub dynamic_groups: usize,
    /// How many in a hundred are hidden.
    pub hidden_percent: usize,
    /// How many in a hundred are shown by their legacy name unless they are asked for by it.
    pub legacy_percent: usize,
    /// How many in a hundred have names in other alphabets.
    pub foreign_percent: usize,
}

impl Default for Size {
    fn default() -> Self {
        Self {
            users: 200,
            shared: 10,
            rooms: 10,
            equipment: 3,
            mail_users: 10,
            contacts: 20,
            groups: 20,
            members: 8,
            dynamic_groups: 1,
            hidden_percent: 3,
            legacy_percent: 1,
            foreign_percent: 10,
        }
    }
}

const FIRST: [&str; 40] = [
    "Anna", "Anne", "Antonio", "Bea", "Ben", "Boris", "Carla", "Chen", "Clara", "Dana", "David", "Elif", "Emil", "Eva",
    "Finn", "Frida", "Georg", "Hana", "Hugo", "Ida", "Ivan", "Jan", "Jana", "Karim", "Lea", "Leo", "Mara", "Milan",
    "Nina", "Noah", "Olga", "Otto", "Paula", "Quinn", "Rosa", "Samir", "Tara", "Uwe", "Vera", "Zoe",
];
const LAST: [&str; 40] = [
    "Abel",
    "Adler",
    "Bauer",
    "Berg",
    "Brandt",
    "Castro",
    "Costa",
    "Dahl",
    "Diaz",
    "Eder",
    "Falk",
    "Ferrari",
    "Gruber",
    "Haas",
    "Hansen",
    "Ito",
    "Jansen",
    "Keller",
    "Kim",
    "Lang",
    "Lopez",
    "Maier",
    "Moreau",
    "Nagy",
    "Novak",
    "O'Hara",
    "Olsen",
    "Park",
    "Petit",
    "Quist",
    "Rossi",
    "Sato",
    "Silva",
    "Smith-Jones",
    "Tanaka",
    "Urban",
    "van der Berg",
    "Weber",
    "Young",
    "Zimmer",
];
const FOREIGN: [(&str, &str); 20] = [
    ("Élodie", "Émond"),
    ("Öykü", "Çelik"),
    ("Łukasz", "Żak"),
    ("Åse", "Ødegård"),
    ("Jürgen", "Müßig"),
    ("Иван", "Йорданов"),
    ("Ольга", "Щербакова"),
    ("Δήμητρα", "Ζέρβας"),
    ("نور", "الدين"),
    ("דוד", "לוי"),
    ("太郎", "山田"),
    ("さくら", "高橋"),
    ("伟", "王"),
    ("민준", "김"),
    ("सीता", "शर्मा"),
    ("สมชาย", "ใจดี"),
    ("Գոռ", "Պետրոսյան"),
    ("ნინო", "ბერიძე"),
    ("Þóra", "Ævarsdóttir"),
    ("Ñusta", "Núñez"),
];
const DEPARTMENTS: [&str; 6] = ["Sales", "Research", "Finance", "Personnel", "Légal", "Закупки"];

/// A row of numbers that looks like chance.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % (end.max(1) as u64)).unwrap_or(0)
    }

    fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }
}

/// Fills an empty organisation.
pub(crate) fn fill(state: &mut State, seed: u64, size: Size) {
    let mut chance = Chance(seed);
    let mut ids: Vec<Id> = Vec::new();
    let persons = [(Kind::User, size.users), (Kind::MailUser, size.mail_users), (Kind::Contact, size.contacts)];
    for (kind, count) in persons {
        for number in 0..count {
            let mut person = person(&mut chance, kind, number, size.foreign_percent);
            if let Some(manager) = ids.len().checked_sub(1).filter(|_| chance.percent(50)) {
                person.manager = ids.get(chance.below(manager.min(50) + 1)).copied();
            }
            traits(&mut person, &mut chance, size, number);
            ids.push(state.add(person));
        }
    }
    let places = [
        (Kind::Shared, size.shared, "shared", "Shared"),
        (Kind::Room, size.rooms, "room", "Room"),
        (Kind::Equipment, size.equipment, "projector", "Projector"),
    ];
    for (kind, count, alias, name) in places {
        for number in 0..count {
            let mut place = Recipient::new(kind, format!("{alias}-{number}")).displayed(&format!("{name} {number}"));
            place.office = format!("Building {}", number % 7);
            traits(&mut place, &mut chance, size, number);
            ids.push(state.add(place));
        }
    }
    let mut groups: Vec<Id> = Vec::new();
    for number in 0..size.groups {
        let department = chance.one(&DEPARTMENTS);
        let mut group = Recipient::group(format!("list-{number}")).displayed(&format!("{department} list {number}"));
        for _ in 0..size.members.min(ids.len()) {
            let member = Member::from(chance.one(&ids));
            if !group.members.contains(&member) {
                group.members.push(member);
            }
        }
        if number % 8 == 7
            && let Some(inner) = groups.get(chance.below(groups.len()))
        {
            group.members.push(Member::from(*inner));
        }
        if chance.percent(5) {
            group.members.push(Member::Unaddressed("No mail".to_owned()));
        }
        traits(&mut group, &mut chance, size, number);
        groups.push(state.add(group));
    }
    // Every sixteenth group and the one before it hold each other.
    for pair in groups.chunks(16).filter(|chunk| chunk.len() == 16) {
        for (one, other) in [(pair[14], pair[15]), (pair[15], pair[14])] {
            state.edit_members(one, |members| {
                if !members.contains(&other.into()) {
                    members.push(other.into());
                }
            });
        }
    }
    for number in 0..size.dynamic_groups {
        let department = DEPARTMENTS[number % DEPARTMENTS.len()];
        let rule = Rule::Department(department.to_owned());
        state.add(Recipient::dynamic_group(format!("all-{number}"), rule).displayed(&format!("All of {department}")));
    }
}

fn person(chance: &mut Chance, kind: Kind, number: usize, foreign_percent: usize) -> Recipient {
    let foreign = chance.percent(foreign_percent);
    let (first, last) = if foreign { chance.one(&FOREIGN) } else { (chance.one(&FIRST), chance.one(&LAST)) };
    let ascii: String = format!("{first}.{last}")
        .to_lowercase()
        .chars()
        .filter(|letter| letter.is_ascii_alphanumeric() || *letter == '.')
        .collect();
    let prefix = match kind {
        Kind::User => "",
        Kind::MailUser => "m-",
        _ => "c-",
    };
    let alias = if foreign { format!("{prefix}u{number}") } else { format!("{prefix}{ascii}{number}") };
    let mut person = Recipient::new(kind, &alias).named(first, last);
    if chance.percent(30) {
        person.display_name = format!("{last}, {first}");
    }
    chance.one(&DEPARTMENTS).clone_into(&mut person.department);
    chance.one(&["Buyer", "Engineer", "Clerk", "Head & Founder"]).clone_into(&mut person.title);
    person.office = format!("{}-{}", chance.one(&["A", "B", "North", "Süd"]), chance.below(400));
    if chance.percent(50) {
        person.phone = format!("+49 30 555-{:04}", chance.below(10_000));
    }
    if kind != Kind::User {
        person.addresses.push(format!("SMTP:{alias}@partner.example"));
    }
    person
}

/// What any recipient may have: more addresses, being hidden, being shown by its legacy name.
fn traits(recipient: &mut Recipient, chance: &mut Chance, size: Size, number: usize) {
    if recipient.primary_address().is_none() {
        recipient.addresses.push(format!("SMTP:{}@corp.example", recipient.alias));
    }
    let more = [0, 0, 1, 1, 2, 4][chance.below(6)];
    for extra in 0..more {
        recipient.addresses.push(format!("smtp:{}-{extra}@old.example", recipient.alias));
    }
    if chance.percent(20) {
        recipient.addresses.push(format!("sip:{}@corp.example", recipient.alias));
    }
    if chance.percent(20) {
        // The directory keeps addresses in no order.
        recipient.addresses.reverse();
    }
    recipient.hidden = chance.percent(size.hidden_percent);
    // The first ones are as plain as can be, so that examples find them.
    if number > 0 && chance.percent(size.legacy_percent) {
        recipient.routing = Routing::ExUnlessAsked;
    }
}
