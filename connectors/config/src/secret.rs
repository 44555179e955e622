//! Where a secret comes from: an environment variable or a file, never the configuration itself.
//!
//! It knows no use of a secret, and nothing that it reports repeats what stands in the place of one.

use tenantry::Secret;
use toml::de::DeValue;

use crate::key::{Form, Key, Keys};
use crate::reading::Reading;
use crate::table::Field;

const REMEDY: &str = r#"write { env = "…" } with a variable's name, or { file = "…" } with a path"#;

/// Where a secret may be.
pub(crate) const FORM: Form = Form::Secret(Keys(&[
    Key::optional("env", Form::Variable, "The name of an environment variable that holds the secret."),
    Key::optional("file", Form::Path, "The path of a file that holds the secret and nothing else."),
]));

/// How much a secret may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lines {
    One,
    Many,
}

/// Reads a secret of one line.
pub(crate) fn read(field: Field<'_>, reading: &mut Reading<'_>) -> Option<Secret> {
    read_lines(field, Lines::One, reading)
}

/// Reads a secret that may have many lines: a key as PEM.
pub(crate) fn read_text(field: Field<'_>, reading: &mut Reading<'_>) -> Option<Secret> {
    read_lines(field, Lines::Many, reading)
}

fn read_lines(field: Field<'_>, lines: Lines, reading: &mut Reading<'_>) -> Option<Secret> {
    match field.value {
        DeValue::String(_) => {
            field.refuse("a secret must not stand in the configuration itself", REMEDY, reading);
            return None;
        }
        DeValue::Table(_) => {}
        _ => {
            field.wrong_form("where the secret is", REMEDY, reading);
            return None;
        }
    }
    let (path, at) = (field.path.clone(), field.at);
    let mut table = field.table(REMEDY, reading)?;
    let (variable, file) = (table.take("env"), table.take("file"));
    // A misspelt `env` is one problem, not two.
    let clean = table.is_taken();
    table.finish(reading);
    match (variable, file) {
        (Some(variable), None) => from_variable(&variable, lines, reading),
        (None, Some(file)) => from_file(&file, lines, reading),
        (Some(_), Some(_)) => {
            reading.problem(at, &path, "the secret has two places, env and file", "keep one of them");
            None
        }
        (None, None) => {
            if clean {
                reading.problem(at, &path, "the place of the secret is missing", REMEDY);
            }
            None
        }
    }
}

fn from_variable(field: &Field<'_>, lines: Lines, reading: &mut Reading<'_>) -> Option<Secret> {
    let name = field.text(reading)?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if !name.chars().all(allowed) || name.starts_with(|c: char| c.is_ascii_digit()) {
        let remedy = "write the variable's name, not the secret: letters, digits and underscores, no $";
        field.refuse("this is no name of an environment variable", remedy, reading);
        return None;
    }
    // Somebody may have written the secret where its name belongs: only what looks like a name is repeated.
    let conventional = !name.chars().any(|c| c.is_ascii_lowercase());
    let called = if conventional { format!("the environment variable {name}") } else { "this variable".to_owned() };
    let Some(value) = reading.environment.variable(name) else {
        field.refuse(format!("{called} is not set"), r#"set it, or write { file = "…" }"#, reading);
        return None;
    };
    let Ok(value) = value.into_string() else {
        field.refuse(format!("{called} is not UTF-8"), "set it to text", reading);
        return None;
    };
    checked(Secret::new(value), lines, &called, field, reading)
}

fn from_file(field: &Field<'_>, lines: Lines, reading: &mut Reading<'_>) -> Option<Secret> {
    let bytes = field.file(reading)?;
    let Ok(mut text) = String::from_utf8(bytes) else {
        field.refuse("the file named here is not UTF-8", "save it as UTF-8 text", reading);
        return None;
    };
    // Editors end a file with a line break and may begin it with a byte order mark; neither belongs to the secret.
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    if text.starts_with('\u{feff}') {
        text.remove(0);
    }
    checked(Secret::new(text), lines, "the file named here", field, reading)
}

/// A secret that is empty or has several lines is a mistake, and trying it could lock the account.
fn checked(secret: Secret, lines: Lines, called: &str, field: &Field<'_>, reading: &mut Reading<'_>) -> Option<Secret> {
    if secret.expose().trim().is_empty() {
        field.refuse(format!("{called} is empty"), "put the secret into it", reading);
        return None;
    }
    if lines == Lines::One && secret.expose().contains(['\n', '\r', '\0']) {
        field.refuse(format!("{called} holds more than one line"), "put nothing but the secret into it", reading);
        return None;
    }
    Some(secret)
}
