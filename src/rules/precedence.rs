//! Puts a record together from the objects it was joined from: whose value counts, attribute by attribute.

use crate::model::{
    Attributes, EndpointName, Identity, Lock, ObjectKind, Record, RecordId, SourceId, Timestamp, names,
};

/// One object of a record.
#[derive(Debug, Clone)]
pub(crate) struct Image {
    /// The endpoint, and its place in the customer's order.
    pub(crate) endpoint: EndpointName,
    /// The place in the customer's order: the lowest wins.
    pub(crate) rank: u32,
    /// The object's source id.
    pub(crate) source_id: SourceId,
    /// What is known of it.
    pub(crate) attributes: Attributes,
    /// Since when it is missing.
    pub(crate) missing_since: Option<Timestamp>,
    /// Attributes that the endpoint leaves to local editors.
    pub(crate) yielded: Vec<String>,
}

/// What belongs to the record itself.
#[derive(Debug, Clone)]
pub(crate) struct Own {
    /// The record's id.
    pub(crate) id: RecordId,
    /// User, group or computer.
    pub(crate) kind: ObjectKind,
    /// Values set by local editors.
    pub(crate) local: Attributes,
    /// Put away locally.
    pub(crate) archived: bool,
}

/// Puts a record together. Unknown never overwrites; a yielded attribute keeps the local editors' value.
pub(crate) fn compose(own: Own, mut images: Vec<Image>) -> Record {
    let Own { id, kind, local, archived } = own;
    images.sort_by(|a, b| (a.rank, &a.source_id).cmp(&(b.rank, &b.source_id)));
    let mut attributes = images.last_mut().map(|image| std::mem::take(&mut image.attributes)).unwrap_or_default();
    for image in images.iter().rev().skip(1) {
        attributes.merge(&image.attributes);
    }
    // The host's own: no endpoint sets them, whatever it reads under that name.
    attributes.forget(&names::TAGS);
    let yielded = images.first().map(|owner| owner.yielded.clone()).unwrap_or_default();
    for (name, value) in local.iter() {
        let locked = attributes.get(name).is_some() && !yielded.iter().any(|y| y == name.as_str());
        if !locked {
            attributes.set(name.clone(), value.clone());
        }
    }
    // A record is missing only while none of its objects is seen.
    let missing_since = images.iter().map(|image| image.missing_since).min().flatten().filter(|_| !images.is_empty());
    let lock = images.first().map(|owner| {
        let mut others: Vec<_> = images[1..].iter().map(|image| image.endpoint.clone()).collect();
        others.retain(|other| *other != owner.endpoint);
        others.dedup();
        Lock { endpoint: owner.endpoint.clone(), others, yielded }
    });
    let identities =
        images.into_iter().map(|image| Identity { endpoint: image.endpoint, source_id: image.source_id }).collect();
    Record { id, kind, attributes, owner: None, archived, missing_since, lock, identities }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::model::Value;

    fn image(endpoint: &str, rank: u32, attributes: &[(crate::model::AttributeName, Value)]) -> Image {
        Image {
            endpoint: EndpointName::new(endpoint).unwrap(),
            rank,
            source_id: SourceId::Guid(Uuid::from_u128(u128::from(rank))),
            attributes: attributes.iter().cloned().collect(),
            missing_since: None,
            yielded: Vec::new(),
        }
    }

    fn own(local: &[(crate::model::AttributeName, Value)]) -> Own {
        Own {
            id: RecordId(Uuid::nil()),
            kind: ObjectKind::User,
            local: local.iter().cloned().collect(),
            archived: false,
        }
    }

    #[test]
    fn the_first_endpoint_that_knows_a_value_wins() {
        let record = compose(
            own(&[]),
            vec![
                image("cloud", 1, &[(names::FIRST_NAME, "Anne".into()), (names::MFA, "enrolled".into())]),
                image("ad", 0, &[(names::FIRST_NAME, "Ann".into()), (names::LAST_NAME, Value::Empty)]),
            ],
        );
        assert_eq!(record.attributes.text(&names::FIRST_NAME), Some("Ann"));
        assert_eq!(record.attributes.text(&names::MFA), Some("enrolled"));
        let lock = record.lock.unwrap();
        assert_eq!((lock.endpoint.as_str(), lock.others[0].as_str()), ("ad", "cloud"));
    }

    #[test]
    fn a_local_value_shows_only_where_the_owner_yields_or_knows_nothing() {
        let local = [(names::FIRST_NAME, "Annie".into()), (names::DISPLAY_NAME, "A. L.".into())];
        let locked = compose(own(&local), vec![image("ad", 0, &[(names::FIRST_NAME, "Ann".into())])]);
        assert_eq!(locked.attributes.text(&names::FIRST_NAME), Some("Ann"));
        assert_eq!(locked.attributes.text(&names::DISPLAY_NAME), Some("A. L."));
        let mut yielding = image("ad", 0, &[(names::FIRST_NAME, "Ann".into())]);
        yielding.yielded = vec!["first_name".into()];
        let record = compose(own(&local), vec![yielding]);
        assert_eq!(record.attributes.text(&names::FIRST_NAME), Some("Annie"));
    }

    #[test]
    fn tags_are_the_hosts_whatever_an_endpoint_gives_under_that_name() {
        let given = [(names::TAGS, Value::list(["remote"]))];
        assert_eq!(compose(own(&[]), vec![image("ad", 0, &given)]).attributes.get(&names::TAGS), None);
        let tags = Value::list(["admin"]);
        let record = compose(own(&[(names::TAGS, tags.clone())]), vec![image("ad", 0, &given)]);
        assert_eq!(record.attributes.get(&names::TAGS), Some(&tags));
    }

    #[test]
    fn a_record_is_missing_only_while_none_of_its_objects_is_seen() {
        let mut missing = image("ad", 0, &[]);
        missing.missing_since = Some(Timestamp(5));
        let record = compose(own(&[]), vec![missing.clone(), image("cloud", 1, &[])]);
        assert_eq!(record.missing_since, None);
        assert_eq!(compose(own(&[]), vec![missing]).missing_since, Some(Timestamp(5)));
    }
}
