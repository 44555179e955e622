//! How the directory compares text: without case, accents, width and kind of kana; it knows no recipient.
//!
//! Active Directory compares by Windows' invariant locale, ignoring case, nonspacing marks, width and kana. What that
//! means for single letters is assumed here, not measured: letters that Unicode takes apart lose their marks (é is e,
//! й is и, が is か), ß is ss, æ is ae, œ is oe, ø is o, ł is l, đ is d, þ is th. Hangul is left whole.

use unicode_normalization::UnicodeNormalization as _;

/// What the directory takes for the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Folding {
    /// Upper and lower case, letters with and without accents, wide and narrow forms, both kana.
    #[default]
    Directory,
    /// Upper and lower case only.
    Case,
}

/// Where in a name a match may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Matching {
    /// At the start of each word of a name; at the start of alias and address.
    #[default]
    Words,
    /// At the start of an attribute only, as the directory's own name resolution is documented.
    Attributes,
    /// At the start of each word of a name, and of each part of alias and address: the first letter of the domain
    /// finds everybody.
    Parts,
}

impl Folding {
    /// Brings text into the form in which it is compared.
    pub fn fold(self, text: &str) -> String {
        if text.is_ascii() {
            return text.to_ascii_lowercase();
        }
        match self {
            Self::Case => text.chars().flat_map(char::to_lowercase).collect(),
            Self::Directory => {
                let mut folded = String::with_capacity(text.len());
                for letter in text.chars() {
                    if is_hangul(letter) {
                        folded.push(letter);
                        continue;
                    }
                    for part in std::iter::once(letter).nfkd().filter(|part| !is_mark(*part)) {
                        part.to_lowercase().filter(|part| !is_mark(*part)).for_each(|part| spell(part, &mut folded));
                    }
                }
                folded
            }
        }
    }
}

fn is_hangul(letter: char) -> bool {
    matches!(letter, '\u{ac00}'..='\u{d7a3}')
}

fn is_mark(letter: char) -> bool {
    matches!(letter,
        '\u{300}'..='\u{36f}' | '\u{483}'..='\u{487}' | '\u{591}'..='\u{5bd}' | '\u{5bf}' | '\u{5c1}'..='\u{5c2}'
        | '\u{64b}'..='\u{65f}' | '\u{670}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}'
        | '\u{20d0}'..='\u{20ff}' | '\u{3099}'..='\u{309a}')
}

fn spell(letter: char, folded: &mut String) {
    match letter {
        'ß' => folded.push_str("ss"),
        'æ' => folded.push_str("ae"),
        'œ' => folded.push_str("oe"),
        'þ' => folded.push_str("th"),
        'ø' => folded.push('o'),
        'ł' => folded.push('l'),
        'đ' | 'ð' => folded.push('d'),
        'ς' => folded.push('σ'),
        // Hiragana to katakana.
        '\u{3041}'..='\u{3096}' => folded.push(char::from_u32(u32::from(letter) + 0x60).unwrap_or(letter)),
        other => folded.push(other),
    }
}

/// The parts of folded text at whose start a match may begin.
pub(crate) fn starts(folded: &str) -> impl Iterator<Item = &str> {
    let mut inside = false;
    folded.char_indices().filter_map(move |(at, letter)| {
        let before = std::mem::replace(&mut inside, letter.is_alphanumeric());
        (at == 0 || (inside && !before)).then(|| &folded[at..])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_by_case_accent_width_or_kana_is_the_same() {
        let fold = |text| Folding::Directory.fold(text);
        assert_eq!(fold("Élodie STRAẞE"), fold("elodie strasse"));
        assert_eq!(fold("Łukasz Ødegård"), "lukasz odegard");
        assert_eq!(fold("ＡＢＣ"), "abc");
        assert_eq!(fold("はな"), fold("ハナ"));
        assert_eq!(fold("Йосиф Ёлкин"), fold("иосиф елкин"));
        assert_eq!(fold("Σοφός"), fold("σοφοσ"));
        assert_eq!(fold("각"), "각");
        assert_ne!(fold("가"), fold("각"));
        assert_eq!(fold("e\u{301}"), "e");
    }

    #[test]
    fn folding_by_case_keeps_accents_apart() {
        assert_eq!(Folding::Case.fold("ÉA"), "éa");
        assert_ne!(Folding::Case.fold("é"), Folding::Case.fold("e"));
    }

    #[test]
    fn words_begin_after_anything_that_is_no_letter_and_no_digit() {
        let found: Vec<&str> = starts("o'brien, anna-lena (2)").collect();
        assert_eq!(found, ["o'brien, anna-lena (2)", "brien, anna-lena (2)", "anna-lena (2)", "lena (2)", "2)"]);
        assert_eq!(starts("-x").collect::<Vec<_>>(), ["-x", "x"]);
    }
}
