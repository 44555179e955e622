//! Folds text for search and order: without case and accents. It knows no record.
//!
//! Not the collation of a language: names of many languages stand in one list, and the host does not say whose order
//! is meant. See docs/decisions/0030-queries.md.

use unicode_normalization::UnicodeNormalization as _;

/// Characters of one part of a sort key; what is longer is told apart by the parts behind it.
const LONGEST: usize = 120;

/// Returns a text without case, accents and control characters.
pub(super) fn fold(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    // Most names and addresses are plain.
    if text.is_ascii() {
        out.extend(text.chars().map(|c| if c.is_ascii_control() { ' ' } else { c.to_ascii_lowercase() }));
        return out;
    }
    for c in text.chars().flat_map(char::to_lowercase).nfkd().flat_map(char::to_lowercase) {
        match c {
            c if is_accent(c) => {}
            c if c.is_control() => out.push(' '),
            'ß' => out.push_str("ss"),
            'æ' => out.push_str("ae"),
            'œ' => out.push_str("oe"),
            'þ' => out.push_str("th"),
            'ø' => out.push('o'),
            'đ' | 'ð' => out.push('d'),
            'ł' => out.push('l'),
            'ħ' => out.push('h'),
            'ŧ' => out.push('t'),
            'ı' => out.push('i'),
            'ς' => out.push('σ'),
            c => out.push(c),
        }
    }
    out
}

/// Tells whether a mark only modifies a letter. Vowel signs of Indic scripts and the like are letters of their own.
fn is_accent(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}'
        | '\u{fe20}'..='\u{fe2f}')
}

/// Puts a sort key together from parts, the record's number behind them.
pub(super) fn sort_key(parts: &[Option<&str>], record_no: i64) -> Vec<u8> {
    let mut key = Vec::with_capacity(64);
    for part in parts {
        let folded = part.map(fold).unwrap_or_default();
        let folded = folded.trim();
        if folded.is_empty() {
            // Behind everything that has a value.
            key.push(0xfe);
        } else {
            key.push(1);
            let end = folded.char_indices().nth(LONGEST).map_or(folded.len(), |(at, _)| at);
            key.extend_from_slice(&folded.as_bytes()[..end]);
        }
        key.push(0);
    }
    key.extend_from_slice(&(record_no ^ i64::MIN).to_be_bytes());
    key
}

/// Returns the bounds between which the keys lie whose first part begins with a text; `None` if every key does.
pub(super) fn prefix_bounds(prefix: &str) -> Option<(Vec<u8>, Vec<u8>)> {
    let folded = fold(prefix);
    let folded = folded.trim_start();
    if folded.is_empty() {
        return None;
    }
    let end = folded.char_indices().nth(LONGEST).map_or(folded.len(), |(at, _)| at);
    let mut low = vec![1];
    low.extend_from_slice(&folded.as_bytes()[..end]);
    let mut high = low.clone();
    high.push(0xff); // no byte of UTF-8
    Some((low, high))
}

/// Splits text into folded words.
pub(super) fn words(text: &str) -> Vec<String> {
    fold(text).split_whitespace().map(str::to_owned).collect()
}

/// Characters of the longest part of a name that is found without looking at the name.
pub(super) const LONGEST_PART: usize = 12;
/// Characters of a word behind which parts are found by looking only.
const LONGEST_WORD: usize = 32;

/// Calls something for every part of a word of four characters up to the longest.
pub(super) fn parts(word: &str, mut each: impl FnMut(&str)) {
    let ends: Vec<usize> = word.char_indices().map(|(at, _)| at).chain([word.len()]).take(LONGEST_WORD + 1).collect();
    for from in 0..ends.len() {
        for to in from + 4..=(from + LONGEST_PART).min(ends.len().saturating_sub(1)) {
            each(&word[ends[from]..ends[to]]);
        }
    }
}

/// Returns the parts of the longest length that a longer one has.
pub(super) fn longest_parts(part: &str) -> Vec<&str> {
    let ends: Vec<usize> = part.char_indices().map(|(at, _)| at).chain([part.len()]).collect();
    let windows = ends.len().saturating_sub(1).saturating_sub(LONGEST_PART) + 1;
    (0..windows).filter_map(|from| Some(&part[ends[from]..*ends.get(from + LONGEST_PART)?])).collect()
}

/// Tells whether every part of a word is found without looking at it.
pub(super) fn is_short(word: &str) -> bool {
    word.chars().nth(LONGEST_WORD).is_none()
}

/// The characters by which a key's place is known, at each depth from one to this.
pub(super) const DEPTHS: usize = 8;

/// Returns how the first part of a sort key begins: as bytes, at each depth, ended by zeros where it is shorter.
/// Nothing for a key without that part.
pub(super) fn beginnings(key: &[u8]) -> Vec<Vec<u8>> {
    let Some((1, rest)) = key.split_first() else { return Vec::new() };
    let text = rest.split(|byte| *byte == 0).next().unwrap_or_default();
    let text = std::str::from_utf8(text).unwrap_or_default();
    (1..=DEPTHS).map(|depth| beginning(text, depth)).collect()
}

/// Returns the beginning of a text of so many characters, ended by zeros where it is shorter.
pub(super) fn beginning(text: &str, depth: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(depth + 8);
    let mut length = 0;
    for c in text.chars().take(depth) {
        bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        length += 1;
    }
    bytes.resize(bytes.len() + depth - length, 0);
    bytes
}

/// Folds what a name is to begin with.
pub(super) fn prefix(text: &str) -> String {
    fold(text).trim_start().to_owned()
}

/// A run of one to three characters, as one number.
pub(super) type Gram = u64;

/// From here on grams are of three characters.
pub(super) const OF_THREE: Gram = 1 << 42;

/// Adds every run of one to three characters of a word.
pub(super) fn grams(word: &str, out: &mut Vec<Gram>) {
    let (mut two, mut one) = (None, None);
    for c in word.chars() {
        let c = u64::from(u32::from(c)) + 1;
        out.push(c);
        if let Some(one) = one {
            out.push(one << 21 | c);
            if let Some(two) = two {
                out.push(two << 42 | one << 21 | c);
            }
        }
        two = one;
        one = Some(c);
    }
}

/// Returns the runs that every word with this part has, and whether having them all is enough.
pub(super) fn grams_of_part(part: &str) -> (Vec<Gram>, bool) {
    let mut all = Vec::new();
    grams(part, &mut all);
    let longest = all.iter().copied().max().unwrap_or_default();
    let limit = if longest >= 1 << 42 {
        1 << 42
    } else if longest >= 1 << 21 {
        1 << 21
    } else {
        0
    };
    all.retain(|gram| *gram >= limit);
    all.sort_unstable();
    all.dedup();
    (all, part.chars().count() <= 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_and_accents_do_not_matter_and_letters_do() {
        for (text, folded) in [
            ("Ólafsdóttir", "olafsdottir"),
            ("STRASSE", "strasse"),
            ("Straße", "strasse"),
            ("İstanbul", "istanbul"),
            ("Łukasz Ørsted", "lukasz orsted"),
            ("ＡＢＣ", "abc"),
            ("Σίσυφος", "σισυφοσ"),
            ("किरण", "किरण"),
            ("a\tb", "a b"),
        ] {
            assert_eq!(fold(text), folded, "{text}");
        }
        assert_ne!(fold("कि"), fold("का"));
    }

    #[test]
    fn keys_sort_by_name_then_by_what_follows_and_put_nothing_last() {
        let key = |last: &str, first: &str, no| sort_key(&[Some(last), Some(first)], no);
        let sorted = [
            key("Ekl", "Zoe", 9),
            key("Müller", "Anna", 5),
            key("Muller", "Bernd", 4),
            key("Müller", "Bernd", 6),
            key("Mullera", "Anna", 1),
            key("Zander", "", 1),
            key("", "Anna", -1),
            key("", "Anna", 2),
        ];
        assert!(sorted.is_sorted());
    }

    #[test]
    fn a_prefix_bounds_exactly_what_begins_with_it() {
        let (low, high) = prefix_bounds("MÜ").unwrap();
        let within = |name: &str| {
            let key = sort_key(&[Some(name)], 7);
            key > low && key < high
        };
        assert!(within("Mueller") && within("mü") && !within("Mahler") && !within("M") && !within(""));
        assert!(prefix_bounds(" ").is_none());
    }

    #[test]
    fn beginnings_are_in_the_order_of_keys_and_end_with_the_name() {
        let key = |name: &str| sort_key(&[Some(name), Some("x")], 3);
        assert_eq!(beginnings(&key("Ann"))[..4], [b"a".to_vec(), b"an".to_vec(), b"ann".to_vec(), b"ann\0".to_vec()]);
        assert!(beginnings(&key(" ")).is_empty());
        for (one, other) in [("Ann", "Anna"), ("Anna", "Ánne"), ("Zoe", "žofie"), ("李", "王")] {
            assert_eq!(key(one) < key(other), beginnings(&key(one)) < beginnings(&key(other)), "{one} {other}");
        }
    }

    #[test]
    fn parts_are_all_there_up_to_the_longest() {
        let mut all = Vec::new();
        parts("müllerin-hofmann", |part| all.push(part.to_owned()));
        for part in ["müll", "llerin-hofma", "mann", "n-ho"] {
            assert!(all.iter().any(|one| one == part), "{part}");
        }
        assert!(all.iter().all(|part| (4..=LONGEST_PART).contains(&part.chars().count())));
        assert_eq!(longest_parts("müllerin-hofm"), ["müllerin-hof", "üllerin-hofm"]);
        parts("abc", |part| panic!("{part}"));
    }

    #[test]
    fn a_part_of_a_word_has_only_grams_of_the_word() {
        let mut all = Vec::new();
        grams("abcdé", &mut all);
        for part in ["a", "ab", "bcd", "bcdé", "é"] {
            let (grams, exact) = grams_of_part(part);
            assert!(!grams.is_empty() && grams.iter().all(|gram| all.contains(gram)), "{part}");
            assert_eq!(exact, part.chars().count() <= 3);
        }
        assert!(grams_of_part("xyz").0.iter().all(|gram| !all.contains(gram)));
    }
}
