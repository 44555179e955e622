//! Puts a record together from the objects it was joined from: whose value counts, attribute by attribute.

use crate::error::Result;
use crate::model::{
    AttributeName, Attributes, EndpointName, Identity, Lock, ObjectKind, Owner, Record, RecordId, SourceId, Timestamp,
    names,
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

/// Brings images into the order in which they count: that of the endpoints, and of two of one endpoint the one that is seen.
pub(crate) fn sort(images: &mut [Image]) {
    images.sort_by(|a, b| {
        let key = |image: &Image| (image.rank, image.missing_since.is_some());
        key(a).cmp(&key(b)).then_with(|| a.source_id.cmp(&b.source_id))
    });
}

/// Returns the image whose value of an attribute counts. The images are in order.
pub(crate) fn giver<'a>(images: &'a [Image], name: &AttributeName) -> Option<&'a Image> {
    images.iter().find(|image| image.attributes.get(name).is_some())
}

/// Tells whether an endpoint leaves an attribute to local editors.
pub(crate) fn yields(image: &Image, name: &AttributeName) -> bool {
    image.yielded.iter().any(|yielded| yielded == name.as_str())
}

/// Puts a record together. Unknown never overwrites; a yielded attribute keeps the local editors' value. `owner_id` finds
/// the record of a computer's owner, by its source id in the endpoint whose value counts.
pub(crate) fn compose(
    own: Own,
    mut images: Vec<Image>,
    owner_id: impl FnOnce(&EndpointName, &SourceId) -> Result<Option<RecordId>>,
) -> Result<Record> {
    let Own { id, kind, local, archived } = own;
    sort(&mut images);
    // Each endpoint has source ids of its own: an owner's means nothing in another one.
    let owner = match giver(&images, &names::OWNER) {
        Some(Image { endpoint, attributes, .. }) => match attributes.text(&names::OWNER) {
            Some(owner) => {
                owner_id(endpoint, &SourceId::parse(owner))?.map(|id| Owner { endpoint: endpoint.clone(), id })
            }
            None => None,
        },
        None => None,
    };
    // Most records have one image and nothing local: its attributes are taken as they are.
    let last = if local.is_empty() {
        images.last_mut().map(|image| std::mem::take(&mut image.attributes))
    } else {
        images.last().map(|image| image.attributes.clone())
    };
    let mut attributes = last.unwrap_or_default();
    for image in images.iter().rev().skip(1) {
        attributes.merge(&image.attributes);
    }
    // The host's own: no endpoint sets them, whatever it reads under that name.
    attributes.forget(&names::TAGS);
    let yielded = images.first().map(|owner| owner.yielded.clone()).unwrap_or_default();
    for (name, value) in local.iter() {
        let given = giver(&images, name).filter(|_| *name != names::TAGS);
        let locked = given.is_some_and(|giver| !yields(&images[0], name) && !yields(giver, name));
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
    Ok(Record { id, kind, attributes, owner, archived, missing_since, lock, identities })
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
            // The order of ids is not that of the endpoints.
            source_id: SourceId::Guid(Uuid::from_u128(100 - u128::from(rank))),
            attributes: attributes.iter().cloned().collect(),
            missing_since: None,
            yielded: Vec::new(),
        }
    }

    fn composed(own: Own, images: Vec<Image>) -> Record {
        compose(own, images, |_, _| Ok(None)).unwrap()
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
        let record = composed(
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
        let locked = composed(own(&local), vec![image("ad", 0, &[(names::FIRST_NAME, "Ann".into())])]);
        assert_eq!(locked.attributes.text(&names::FIRST_NAME), Some("Ann"));
        assert_eq!(locked.attributes.text(&names::DISPLAY_NAME), Some("A. L."));
        let mut yielding = image("ad", 0, &[(names::FIRST_NAME, "Ann".into())]);
        yielding.yielded = vec!["first_name".into()];
        let record = composed(own(&local), vec![yielding]);
        assert_eq!(record.attributes.text(&names::FIRST_NAME), Some("Annie"));
    }

    #[test]
    fn the_endpoint_whose_value_counts_may_leave_it_to_local_editors_too() {
        let title = crate::model::AttributeName::extra("title");
        let mut cloud = image("cloud", 1, &[(title.clone(), "Boss".into())]);
        let local = [(title.clone(), "Chief".into())];
        let shown = |cloud: &Image| composed(own(&local), vec![image("ad", 0, &[]), cloud.clone()]).attributes;
        assert_eq!(shown(&cloud).text(&title), Some("Boss"));
        cloud.yielded = vec![title.as_str().to_owned()];
        assert_eq!(shown(&cloud).text(&title), Some("Chief"));
    }

    #[test]
    fn of_two_images_of_one_endpoint_the_one_that_is_seen_counts() {
        let mut old = image("mail", 0, &[(names::FIRST_NAME, "Ann".into())]);
        (old.source_id, old.missing_since) = (SourceId::address("a@corp.example"), Some(Timestamp(1)));
        let mut new = image("mail", 0, &[(names::FIRST_NAME, "Anne".into())]);
        new.source_id = SourceId::address("b@corp.example");
        let record = composed(own(&[]), vec![old, new]);
        assert_eq!(record.attributes.text(&names::FIRST_NAME), Some("Anne"));
        assert_eq!(record.missing_since, None);
    }

    #[test]
    fn tags_are_the_hosts_whatever_an_endpoint_gives_under_that_name() {
        let given = [(names::TAGS, Value::list(["remote"]))];
        assert_eq!(composed(own(&[]), vec![image("ad", 0, &given)]).attributes.get(&names::TAGS), None);
        let tags = Value::list(["admin"]);
        let record = composed(own(&[(names::TAGS, tags.clone())]), vec![image("ad", 0, &given)]);
        assert_eq!(record.attributes.get(&names::TAGS), Some(&tags));
    }

    #[test]
    fn an_owner_is_looked_for_in_the_endpoint_that_names_him() {
        let images = vec![image("ad", 0, &[]), image("cloud", 1, &[(names::OWNER, "ann@corp.example".into())])];
        let ann = RecordId(Uuid::from_u128(7));
        let record = compose(own(&[]), images, |endpoint, id| {
            assert_eq!((endpoint.as_str(), id), ("cloud", &SourceId::parse("ann@corp.example")));
            Ok(Some(ann))
        });
        let owner = record.unwrap().owner.unwrap();
        assert_eq!((owner.endpoint.as_str(), owner.id), ("cloud", ann));
    }

    #[test]
    fn nobody_is_looked_for_where_the_first_endpoint_knows_of_no_owner() {
        let cloud = image("cloud", 1, &[(names::OWNER, "ann@corp.example".into())]);
        let images = vec![image("ad", 0, &[(names::OWNER, Value::Empty)]), cloud];
        assert_eq!(compose(own(&[]), images, |_, _| unreachable!()).unwrap().owner, None);
    }

    #[test]
    fn a_record_is_missing_only_while_none_of_its_objects_is_seen() {
        let mut missing = image("ad", 0, &[]);
        missing.missing_since = Some(Timestamp(5));
        let record = composed(own(&[]), vec![missing.clone(), image("cloud", 1, &[])]);
        assert_eq!(record.missing_since, None);
        assert_eq!(composed(own(&[]), vec![missing]).missing_since, Some(Timestamp(5)));
    }
}
