//! What the columns and cells of a table of people mean. It reads no file.

use std::collections::{BTreeMap, BTreeSet};

use super::text::folded;
use crate::model::names::{self, Shape};
use crate::model::{AttributeName, ObjectKind, Value};

/// What a column holds.
#[derive(Debug, Clone)]
pub(crate) enum Column {
    /// An attribute of a user.
    Attribute(AttributeName, Shape),
    /// The host's tags.
    Tags,
    /// What a table of people tells and nobody sets by one.
    LeftOut,
}

/// What a record tells that is not set by a table: it follows from elsewhere.
const LEFT_OUT: &[&str] = &[
    "id",
    "customer",
    "archived",
    "missing_since",
    "lock",
    "locked_by",
    "identities",
    "groups",
    "mfa",
    "locked_out",
    "must_change_password",
];

/// Columns of the sample, in its order.
pub(crate) const SAMPLE: &[&str] =
    &["primary_email", "first_name", "last_name", "display_name", "username", "aliases", "kind", "state", "tags"];

/// What [`Names`] maps a column to that is to be left out.
const NOTHING: &str = "-";

/// Own names of columns, and the names that they stand for.
pub(crate) type Names = BTreeMap<String, String>;

/// Brings the name of a column to the form in which names are compared.
fn plain(name: &str) -> String {
    folded(name).replace([' ', '_', '-'], "")
}

/// Finds out what a column holds, by its name.
pub(crate) fn column(header: &str, own: &Names) -> Result<Column, String> {
    let mapped = own.iter().find(|(name, _)| is_name_of(name, header)).map(|(_, stands_for)| stands_for.as_str());
    let named = mapped.unwrap_or(header);
    if named.trim() == NOTHING {
        return Ok(Column::LeftOut);
    }
    if let Some(extra) = named.trim().strip_prefix("attributes.").filter(|extra| *extra != "tags") {
        let name = AttributeName::extra(extra);
        return match names::wrong(ObjectKind::User, &name) {
            Some((_, remedy)) => Err(remedy.to_owned()),
            None => Ok(Column::Attribute(name, Shape::Free)),
        };
    }
    let (named_as, named) = (named, plain(named));
    if ["tags", "attributes.tags"].contains(&named.as_str()) {
        return Ok(Column::Tags);
    }
    if ["email", "mail"].contains(&named.as_str()) {
        return Ok(Column::Attribute(names::PRIMARY_EMAIL, Shape::Text));
    }
    if LEFT_OUT.iter().any(|left_out| plain(left_out) == named) {
        return Ok(Column::LeftOut);
    }
    names::ALL
        .iter()
        .filter(|name| plain(name) == named)
        .map(|name| AttributeName::parse(name))
        .find_map(|name| names::shape(ObjectKind::User, &name).map(|shape| Column::Attribute(name, shape)))
        .ok_or_else(|| match (mapped, names::meant(ObjectKind::User, named_as)) {
            // The column is right: what it was mapped to is not.
            (Some(wrong), Some(meant)) => format!("it is mapped to {wrong:?}, which is no attribute; {meant}"),
            (Some(wrong), None) => {
                format!("it is mapped to {wrong:?}, which is no attribute; map it to a name of the sample, to attributes.NAME, or to -")
            }
            (None, Some(meant)) => meant.to_owned(),
            (None, None) => {
                "the column means nothing; give it a name of the sample, map it to one, or map it to -".to_owned()
            }
        })
}

/// Tells whether an own name is that of a column.
pub(crate) fn is_name_of(own: &str, header: &str) -> bool {
    plain(own) == plain(header)
}

/// Reads a cell. `None` for an empty one, which says nothing.
pub(crate) fn value(shape: Shape, cell: &str) -> Result<Option<Value>, &'static str> {
    let cell = cell.trim();
    if cell.is_empty() {
        return Ok(None);
    }
    Ok(Some(match shape {
        Shape::Text | Shape::Free => cell.into(),
        Shape::OneOf(known) => {
            let spelled = folded(cell).replace(' ', "-");
            if !known(&spelled) {
                return Err("this is none of the values that the attribute may have; see the sample");
            }
            spelled.into()
        }
        Shape::List => Value::list(list(cell)),
        Shape::Bool => match folded(cell).as_str() {
            "true" | "yes" | "1" => true.into(),
            "false" | "no" | "0" => false.into(),
            _ => return Err("write true or false"),
        },
    }))
}

/// Reads a cell with several texts, between commas or semicolons.
pub(crate) fn list(cell: &str) -> BTreeSet<String> {
    cell.split([',', ';', '\n']).map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_found_by_their_names_however_they_are_written_and_by_own_names() {
        let own: Names = [("Vorname", "first_name"), ("Notiz", "-"), ("Raum", "attributes.Room-1")]
            .map(|(name, stands_for)| (name.to_owned(), stands_for.to_owned()))
            .into();
        for (header, expected) in [
            ("primary_email", "primary_email"),
            (" Primary E-Mail ", "primary_email"),
            ("Email", "primary_email"),
            ("First Name", "first_name"),
            ("VORNAME", "first_name"),
            ("attributes.employee_number", "attributes.employee_number"),
            ("raum", "attributes.Room-1"),
        ] {
            let Ok(Column::Attribute(name, _)) = column(header, &own) else { panic!("{header}") };
            assert_eq!(name.as_str(), expected);
        }
        for (header, tags) in
            [("Tags", true), ("attributes.tags", true), ("ID", false), ("Notiz", false), ("MFA", false)]
        {
            let found = column(header, &own).unwrap();
            assert_eq!(matches!(found, Column::Tags), tags, "{header}");
            assert_eq!(matches!(found, Column::LeftOut), !tags, "{header}");
        }
        let wrong: Names = [("Mail".to_owned(), "wrong_name".to_owned())].into();
        assert!(column("Mail", &wrong).unwrap_err().contains("\"wrong_name\""));
        for (header, told) in [
            ("", "means nothing"),
            ("frist_name", "did you mean first_name?"),
            ("Frist Name", "did you mean first_name?"),
            ("dns_name", "means nothing"),
            ("attributes.", "behind attributes."),
            ("attributes.room 1", "one word"),
            ("attributes.first_name", "did you mean first_name?"),
        ] {
            let refused = column(header, &own).unwrap_err();
            assert!(refused.contains(told), "{header}: {refused}");
        }
    }

    #[test]
    fn cells_become_values_of_their_sort() {
        let state = names::shape(ObjectKind::User, &names::STATE).unwrap();
        for (shape, cell, expected) in [
            (Shape::Text, "  Ann ", Ok(Some("Ann".into()))),
            (Shape::Text, " ", Ok(None)),
            (Shape::Free, "007", Ok(Some("007".into()))),
            (state, "Active", Ok(Some("active".into()))),
            (state, "aktiv", Err(())),
            (Shape::Bool, "Yes", Ok(Some(true.into()))),
            (Shape::Bool, "maybe", Err(())),
            (Shape::List, "b@x.example; a@x.example,", Ok(Some(Value::list(["a@x.example", "b@x.example"])))),
        ] {
            assert_eq!(value(shape, cell).map_err(drop), expected, "{cell:?}");
        }
    }
}
