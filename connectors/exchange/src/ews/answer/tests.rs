//! Answers as servers give them, of several releases, and damaged ones.

use tenantry::Retry;

use super::*;

const HEAD: &str = "<s:Envelope xmlns:s='http://schemas.xmlsoap.org/soap/envelope/'>";

fn resolved(class: &str, code: &str, set: &str) -> String {
    format!(
        "{HEAD}<s:Header><h:ServerVersionInfo MajorVersion='15' MinorVersion='2' MajorBuildNumber='1748' \
         MinorBuildNumber='10' Version='V2017_07_11' xmlns:h='http://schemas.microsoft.com/exchange/services/2006/types'/>\
         </s:Header><s:Body><m:ResolveNamesResponse \
         xmlns:m='http://schemas.microsoft.com/exchange/services/2006/messages' \
         xmlns:t='http://schemas.microsoft.com/exchange/services/2006/types'><m:ResponseMessages>\
         <m:ResolveNamesResponseMessage ResponseClass='{class}'><m:MessageText>x</m:MessageText>\
         <m:ResponseCode>{code}</m:ResponseCode>{set}</m:ResolveNamesResponseMessage></m:ResponseMessages>\
         </m:ResolveNamesResponse></s:Body></s:Envelope>"
    )
}

const ANN: &str = "<t:Resolution><t:Mailbox><t:Name>Ann Lee</t:Name><t:EmailAddress>Ann.Lee@corp.example</t:EmailAddress>\
     <t:RoutingType>SMTP</t:RoutingType><t:MailboxType>Mailbox</t:MailboxType></t:Mailbox><t:Contact>\
     <t:DisplayName>Ann &amp; Lee</t:DisplayName><t:GivenName>Ann</t:GivenName><t:EmailAddresses>\
     <t:Entry Key='EmailAddress1'>smtp:old@corp.example</t:Entry><t:Entry Key='EmailAddress2'>SMTP:Ann.Lee@corp.example</t:Entry>\
     </t:EmailAddresses><t:PhoneNumbers><t:Entry Key='BusinessPhone'>1</t:Entry><t:Entry Key='MobilePhone'/></t:PhoneNumbers>\
     <t:ContactSource>ActiveDirectory</t:ContactSource><t:Surname>Lee</t:Surname><t:Alias>alee</t:Alias>\
     <t:ManagerMailbox><t:Mailbox><t:Name>Boss</t:Name><t:EmailAddress>boss@corp.example</t:EmailAddress></t:Mailbox>\
     </t:ManagerMailbox></t:Contact></t:Resolution>";

#[test]
fn a_result_is_read_with_its_contact_and_not_with_its_managers_mailbox() {
    let set = format!("<m:ResolutionSet TotalItemsInView='1' IncludesLastItemInRange='1'>{ANN}</m:ResolutionSet>");
    let reply = read(resolved("Success", "NoError", &set).as_bytes()).unwrap();
    assert_eq!(reply.version.unwrap().to_string(), "Exchange 2019 or later (15.2.1748.10)");
    let Outcome::Resolved(set) = reply.outcome else { panic!("{:?}", reply.outcome) };
    assert_eq!((set.has_last, set.total, set.items.len()), (Some(true), Some(1), 1));
    let Resolution { mailbox, contact } = &set.items[0];
    assert_eq!((mailbox.name.as_str(), mailbox.address.as_str()), ("Ann Lee", "Ann.Lee@corp.example"));
    let contact = contact.as_ref().unwrap();
    assert_eq!(contact.display_name.as_deref(), Some("Ann & Lee"));
    assert_eq!((contact.surname.as_deref(), contact.alias.as_deref()), (Some("Lee"), Some("alee")));
    assert_eq!((contact.telephone.as_deref(), contact.mobile.as_deref()), (Some("1"), None));
    assert_eq!(contact.addresses, ["smtp:old@corp.example", "SMTP:Ann.Lee@corp.example"]);
}

#[test]
fn several_results_are_a_warning_with_valid_data_and_own_contacts_are_marked() {
    let own = "<t:Resolution><t:Mailbox><t:EmailAddress>x@corp.example</t:EmailAddress><t:ItemId Id='AA='/></t:Mailbox></t:Resolution>";
    let set = format!("<m:ResolutionSet IncludesLastItemInRange='0'>{ANN}{own}</m:ResolutionSet>");
    let reply = read(resolved("Warning", "ErrorNameResolutionMultipleResults", &set).as_bytes()).unwrap();
    let Outcome::Resolved(set) = reply.outcome else { panic!("{:?}", reply.outcome) };
    assert_eq!((set.has_last, set.total), (Some(false), None));
    assert_eq!(set.items.iter().map(|item| item.mailbox.is_own).collect::<Vec<_>>(), [false, true]);
}

#[test]
fn no_results_are_a_code_and_success_without_results_is_no_answer() {
    let reply = read(resolved("Error", "ErrorNameResolutionNoResults", "").as_bytes()).unwrap();
    let Outcome::Refused(refusal) = reply.outcome else { panic!("{:?}", reply.outcome) };
    assert_eq!(refusal.code, "ErrorNameResolutionNoResults");
    for (class, code, set) in [
        ("Success", "NoError", ""),
        ("Error", "NoError", ""),
        ("Error", "", ""),
        ("Success", "NoError", "<m:ResolutionSet IncludesLastItemInRange='maybe'/>"),
    ] {
        assert!(read(resolved(class, code, set).as_bytes()).is_err(), "{class} {code} {set}");
    }
}

#[test]
fn a_fault_tells_its_code_and_how_long_to_wait_with_blanks_around() {
    let fault = format!(
        "{HEAD}<s:Body><s:Fault><faultcode xmlns:a='http://schemas.microsoft.com/exchange/services/2006/types'>\
         a:ErrorServerBusy</faultcode><faultstring>x</faultstring><detail><e:ResponseCode \
         xmlns:e='http://schemas.microsoft.com/exchange/services/2006/errors'>\n ErrorServerBusy \n</e:ResponseCode>\
         <t:MessageXml xmlns:t='http://schemas.microsoft.com/exchange/services/2006/types'>\
         <t:Value Name='BackOffMilliseconds'> 297749\n</t:Value></t:MessageXml></detail></s:Fault></s:Body></s:Envelope>"
    );
    let expected = Refusal { code: "ErrorServerBusy".into(), inner: None, back_off: Some(297_749) };
    assert_eq!(read(fault.as_bytes()).unwrap(), Reply { version: None, outcome: Outcome::Fault(expected) });
    let bare = format!("{HEAD}<s:Body><s:Fault><faultcode>s:Client</faultcode></s:Fault></s:Body></s:Envelope>");
    let Outcome::Fault(refusal) = read(bare.as_bytes()).unwrap().outcome else { panic!() };
    assert_eq!(refusal.code, "Client");
}

#[test]
fn the_code_behind_a_general_one_is_read() {
    let set = "<m:MessageXml><t:Value Name='InnerErrorResponseCode'>ErrorServerBusy</t:Value></m:MessageXml>";
    let reply = read(resolved("Error", "ErrorInternalServerError", set).as_bytes()).unwrap();
    let Outcome::Refused(refusal) = reply.outcome else { panic!("{:?}", reply.outcome) };
    assert_eq!(refusal.inner.as_deref(), Some("ErrorServerBusy"));
}

#[test]
fn the_words_of_an_answer_in_another_namespace_mean_nothing() {
    let set = format!("<m:ResolutionSet IncludesLastItemInRange='true'>{ANN}</m:ResolutionSet>");
    let foreign =
        resolved("Success", "NoError", &set).replace("http://schemas.microsoft.com", "https://schemas.microsoft.com");
    assert!(read(foreign.as_bytes()).is_err());
    assert!(read(b"<html><body>Sign in</body></html>").is_err());
}

#[test]
fn a_cut_answer_is_an_error_at_every_byte_and_may_be_asked_for_again() {
    let set = format!("<m:ResolutionSet IncludesLastItemInRange='true'>{ANN}</m:ResolutionSet>");
    let whole = resolved("Success", "NoError", &set);
    for cut in HEAD.len()..whole.len() {
        let error = read(&whole.as_bytes()[..cut]).unwrap_err();
        assert_eq!(error.retry(), Retry::Backoff, "{cut}: {error}");
    }
}

#[test]
fn the_members_of_a_group_are_read() {
    let member = "<t:Mailbox><t:Name>A</t:Name><t:EmailAddress>a@corp.example</t:EmailAddress><t:MailboxType>PublicDL</t:MailboxType></t:Mailbox>";
    let expansion =
        format!("<m:DLExpansion TotalItemsInView='2' IncludesLastItemInRange='true'>{member}{member}</m:DLExpansion>");
    let answer = resolved("Success", "NoError", &expansion).replace("ResolveNames", "ExpandDL");
    let Outcome::Expanded(set) = read(answer.as_bytes()).unwrap().outcome else { panic!() };
    assert_eq!((set.items.len(), set.items[1].kind.as_str()), (2, "PublicDL"));
}

#[test]
fn a_hundred_are_never_taken_for_all() {
    let set = |count: usize, has_last| Set { items: vec![Resolution::default(); count], has_last, total: None };
    for (count, has_last, cut) in
        [(100, None, true), (100, Some(true), true), (99, None, false), (99, Some(false), true), (3, Some(true), false)]
    {
        assert_eq!(set(count, has_last).is_cut(), cut, "{count} {has_last:?}");
    }
}
