//! Given names, surnames and words for seeded objects, in alphabetical order; it knows no object.

/// In byte order, so that names rise with the place of their bearer.
pub(crate) const GIVEN: [&str; 48] = [
    "ada", "adam", "alice", "amir", "anna", "aylin", "ben", "bruno", "carla", "chen", "clara", "dana", "david",
    "elena", "emil", "erik", "fatima", "felix", "greta", "hana", "hugo", "ida", "igor", "ines", "jan", "jonas", "kofi",
    "lara", "lena", "leo", "lucia", "marta", "mateo", "mila", "nadia", "nils", "nora", "olga", "omar", "pia", "rafael",
    "rosa", "sami", "sofia", "tara", "tom", "vera", "yuki",
];

/// In byte order.
pub(crate) const SURNAMES: [&str; 32] = [
    "abel", "adler", "amari", "bauer", "berg", "brandt", "costa", "cruz", "dahl", "diaz", "ekman", "farkas", "fischer",
    "garcia", "haas", "holm", "ito", "jansen", "keller", "kovacs", "lind", "lopez", "marin", "meyer", "novak", "okoro",
    "park", "rossi", "santos", "silva", "vogel", "weber",
];

pub(crate) const TITLES: [&str; 8] =
    ["Accountant", "Analyst", "Buyer", "Designer", "Engineer", "Manager", "Nurse", "Technician"];

pub(crate) const DEPARTMENTS: [&str; 8] =
    ["Finance", "Legal", "Logistics", "Operations", "People", "Production", "Research", "Sales"];

/// Writes a name with a capital.
pub(crate) fn capital(name: &str, out: &mut Vec<u8>) {
    let at = out.len();
    out.extend_from_slice(name.as_bytes());
    if let Some(first) = out.get_mut(at) {
        first.make_ascii_uppercase();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_in_byte_order() {
        assert!(GIVEN.is_sorted() && SURNAMES.is_sorted());
    }
}
