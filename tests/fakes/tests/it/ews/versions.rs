//! What each version knows and tells; it knows no recipient.

use tenantry_fakes::ews::{Organisation, Recipient, Version, VersionInfo, VersionRefusal};

use super::{Answer, resolving, send, soap, version};

const SHAPED: &str = r#"ReturnFullContactData="true" ContactDataShape="AllProperties""#;
const PLAIN: &str = r#"ReturnFullContactData="true""#;

fn organisation(version: Version) -> Organisation {
    let organisation = Organisation::new("corp.example");
    organisation.add(Recipient::user("ann"));
    organisation.edit_settings(|settings| settings.version = version);
    organisation
}

fn ask(organisation: &Organisation, headers: &str, attributes: &str) -> Answer {
    Answer::read(&send(organisation, &soap(headers, &resolving(attributes, "ann"))))
}

#[test]
fn each_version_tells_its_build_in_answers_and_in_faults() {
    for known in Version::ALL.into_iter().filter(|version| *version != Version::Exchange2003) {
        let organisation = organisation(known);
        for attributes in [PLAIN, ""] {
            let told = ask(&organisation, "", attributes).version.unwrap();
            let value = |name: &str| told.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
            let [major, minor, build, part] = known.build().map(|number| Some(number.to_string()));
            assert_eq!((value("MajorVersion"), value("MinorVersion")), (major, minor));
            assert_eq!((value("MajorBuildNumber"), value("MinorBuildNumber")), (build, part));
            assert_eq!(value("Version").as_deref(), known.name());
        }
    }
}

#[test]
fn there_are_no_services_in_2003() {
    assert_eq!(ask(&organisation(Version::Exchange2003), "", PLAIN).status, 404);
}

#[test]
fn a_version_newer_than_the_server_is_refused_as_it_is_set() {
    let organisation = organisation(Version::Exchange2010Sp1);
    let refusal = |refusal: VersionRefusal, name: &str| {
        organisation.edit_settings(|settings| settings.version_refusal = refusal);
        let answer = ask(&organisation, &version(name), PLAIN);
        (answer.status, answer.code)
    };
    let fault = |code: &str| (500, code.to_owned());
    for name in ["Exchange2010_SP2", "Exchange2016", "Unheard"] {
        assert_eq!(refusal(VersionRefusal::InvalidServerVersion, name), fault("ErrorInvalidServerVersion"));
        assert_eq!(refusal(VersionRefusal::IncorrectSchemaVersion, name), fault("ErrorIncorrectSchemaVersion"));
        assert_eq!(refusal(VersionRefusal::SchemaValidation, name), fault("ErrorSchemaValidation"));
        assert_eq!(refusal(VersionRefusal::Taken, name), (200, "NoError".to_owned()));
    }
    for name in ["Exchange2007", "Exchange2007_SP1", "Exchange2010", "Exchange2010_SP1"] {
        assert_eq!(refusal(VersionRefusal::InvalidServerVersion, name), (200, "NoError".to_owned()));
    }
}

#[test]
fn the_shape_of_contacts_is_known_from_2010_sp2_when_that_is_asked_for() {
    let code = |server: Version, headers: &str| ask(&organisation(server), headers, SHAPED).code;
    assert_eq!(code(Version::Exchange2010Sp2, &version("Exchange2010_SP2")), "NoError");
    assert_eq!(code(Version::Exchange2016, &version("Exchange2013_SP1")), "NoError");
    assert_eq!(code(Version::Exchange2016, &version("Exchange2010_SP1")), "ErrorSchemaValidation");
    // Without the header a request is one of 2007.
    assert_eq!(code(Version::Exchange2016, ""), "ErrorSchemaValidation");
    assert_eq!(code(Version::Exchange2007Sp1, &version("Exchange2007_SP1")), "ErrorSchemaValidation");
    // 2007 without a service pack does not know the header, and so refuses the attribute.
    assert_eq!(code(Version::Exchange2007, &version("Exchange2010_SP2")), "ErrorSchemaValidation");
}

#[test]
fn the_scope_can_be_unknown_to_2007_without_a_service_pack() {
    let organisation = organisation(Version::Exchange2007);
    let scoped = r#"ReturnFullContactData="true" SearchScope="ActiveDirectory""#;
    assert_eq!(ask(&organisation, "", scoped).code, "NoError");
    organisation.edit_settings(|settings| settings.scope_needs_sp1 = true);
    assert_eq!(ask(&organisation, "", scoped).code, "ErrorSchemaValidation");
    organisation.edit_settings(|settings| settings.version = Version::Exchange2007Sp1);
    assert_eq!(ask(&organisation, &version("Exchange2007_SP1"), scoped).code, "NoError");
}

#[test]
fn what_is_told_of_the_version_can_be_unheard_of_another_build_or_nothing() {
    let organisation = organisation(Version::Exchange2016);
    let told = |info: VersionInfo| {
        organisation.edit_settings(|settings| settings.version_info = info);
        ask(&organisation, "", PLAIN).version
    };
    let named = told(VersionInfo::Named("V9999_01_01".to_owned())).unwrap();
    assert!(named.contains(&("Version".to_owned(), "V9999_01_01".to_owned())));
    let online = told(VersionInfo::Build([15, 20, 8000, 1], "V2018_01_08".to_owned())).unwrap();
    assert!(online.contains(&("MinorVersion".to_owned(), "20".to_owned())));
    assert_eq!(told(VersionInfo::Absent), None);
}

#[test]
fn clients_can_learn_the_version_by_converting_an_id_that_there_is_not() {
    let ids = r#"<m:SourceIds><t:AlternateId Id="DUMMY" Format="EwsId" Mailbox="DUMMY"/><t:AlternateId Id="D" Format="EwsId" Mailbox="D"/></m:SourceIds>"#;
    let ask = |server: Version, call: &str| {
        Answer::read(&send(&organisation(server), &soap(&version("Exchange2007_SP1"), call)))
    };
    let call = format!(r#"<m:ConvertId DestinationFormat="EntryId">{ids}</m:ConvertId>"#);
    let answer = ask(Version::Exchange2010, &call);
    assert_eq!((answer.status, answer.class.as_str(), answer.code.as_str()), (200, "Error", "ErrorInvalidSmtpAddress"));
    assert!(answer.version.is_some());
    assert_eq!(ask(Version::Exchange2007, &call).code, "ErrorSchemaValidation");
    for bad in ["<m:ConvertId/>", r#"<m:ConvertId DestinationFormat="EntryId"><m:SourceIds/></m:ConvertId>"#] {
        assert_eq!(ask(Version::Exchange2010, bad).code, "ErrorSchemaValidation");
    }
}
