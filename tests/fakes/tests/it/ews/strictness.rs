//! What a careless client gets to hear; it knows no recipient.

use http::{HeaderValue, Method};
use tenantry_fakes::ews::{Connection, Organisation, Recipient};

use super::{Answer, ENVELOPE, basic, expanding, request, resolving, send, soap, version};

const FALSE: &str = r#"ReturnFullContactData="false""#;

fn organisation() -> Organisation {
    let organisation = Organisation::new("corp.example");
    organisation.add(Recipient::user("ann"));
    organisation
}

fn code(body: &str) -> (u16, String) {
    let answer = Answer::read(&send(&organisation(), body));
    (answer.status, answer.code)
}

#[test]
fn requests_as_real_clients_send_them_are_answered() {
    let good = [
        soap("", &resolving(FALSE, "ann")),
        soap(&version("Exchange2016"), &resolving(r#"ReturnFullContactData=" 1 " SearchScope="Contacts""#, "ann")),
        // As Evolution does: other prefixes, a default namespace, no line of its own.
        r#"<SOAP-ENV:Envelope xmlns:SOAP-ENV="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><SOAP-ENV:Header><types:RequestServerVersion xmlns:types="http://schemas.microsoft.com/exchange/services/2006/types" Version="Exchange2010_SP2"/></SOAP-ENV:Header><SOAP-ENV:Body xmlns:messages="http://schemas.microsoft.com/exchange/services/2006/messages"><messages:ResolveNames xmlns="http://schemas.microsoft.com/exchange/services/2006/types" SearchScope="ActiveDirectory" ReturnFullContactData="false"><messages:UnresolvedEntry>ann</messages:UnresolvedEntry></messages:ResolveNames></SOAP-ENV:Body></SOAP-ENV:Envelope>"#.to_owned(),
        // Without any header at all, over several lines, with a comment and a folder.
        format!(
            "{ENVELOPE}\n<s:Body>\n<m:ResolveNames {FALSE}>\n<!-- x --><m:ParentFolderIds><t:DistinguishedFolderId Id=\"contacts\"/></m:ParentFolderIds>\n<m:UnresolvedEntry><![CDATA[ann]]></m:UnresolvedEntry>\n</m:ResolveNames></s:Body></s:Envelope>"
        ),
        soap("", "<m:ExpandDL><m:Mailbox><t:Name>n</t:Name><t:EmailAddress>a@b</t:EmailAddress><t:RoutingType>SMTP</t:RoutingType><t:MailboxType>PublicDL</t:MailboxType></m:Mailbox></m:ExpandDL>"),
    ];
    for body in good {
        assert_eq!(code(&body).0, 200, "{body}");
    }
}

#[test]
fn what_the_schema_does_not_allow_is_a_fault() {
    let entry = "<m:UnresolvedEntry>ann</m:UnresolvedEntry>";
    let bad = [
        soap("", &resolving("", "ann")),
        soap("", &resolving(r#"ReturnFullContactData="True""#, "ann")),
        soap("", &resolving(r#"ReturnFullContactData="yes""#, "ann")),
        soap("", &resolving(&format!(r#"{FALSE} SearchScope="AD""#), "ann")),
        soap("", &resolving(&format!(r#"{FALSE} Paging="1""#), "ann")),
        soap("", &resolving(FALSE, "")),
        soap("", &format!("<m:ResolveNames {FALSE}/>")),
        soap("", &format!("<m:ResolveNames {FALSE}>{entry}{entry}</m:ResolveNames>")),
        soap("", &format!("<m:ResolveNames {FALSE}>text{entry}</m:ResolveNames>")),
        soap(
            "",
            &format!(
                "<m:ResolveNames {FALSE}><m:UnresolvedEntry><t:Name>ann</t:Name></m:UnresolvedEntry></m:ResolveNames>"
            ),
        ),
        soap("", &format!("<m:ResolveNames {FALSE}><t:UnresolvedEntry>ann</t:UnresolvedEntry></m:ResolveNames>")),
        soap(
            "",
            &format!("<m:ResolveNames {FALSE}><m:UnresolvedEntry Key=\"1\">ann</m:UnresolvedEntry></m:ResolveNames>"),
        ),
        soap(
            "",
            &format!(
                "<m:ResolveNames {FALSE}>{entry}<m:ParentFolderIds><t:DistinguishedFolderId Id=\"contacts\"/></m:ParentFolderIds></m:ResolveNames>"
            ),
        ),
        soap("", &format!("<m:ResolveNames {FALSE}><m:ParentFolderIds/>{entry}</m:ResolveNames>")),
        soap("", "<m:ExpandDL><t:Mailbox><t:EmailAddress>a</t:EmailAddress></t:Mailbox></m:ExpandDL>"),
        soap(
            "",
            "<m:ExpandDL><m:Mailbox><t:RoutingType>SMTP</t:RoutingType><t:EmailAddress>a</t:EmailAddress></m:Mailbox></m:ExpandDL>",
        ),
        soap("", "<m:ExpandDL><m:Mailbox><m:EmailAddress>a</m:EmailAddress></m:Mailbox></m:ExpandDL>"),
        soap("", "<m:ExpandDL/>"),
        soap("", "<m:GetFolder/>"),
        soap("", ""),
        soap("", &(expanding("a") + &expanding("b"))),
        soap(&(version("Exchange2010") + &version("Exchange2010")), &expanding("a")),
        soap("<t:RequestServerVersion/>", &expanding("a")),
        soap("<m:RequestServerVersion Version=\"Exchange2010\"/>", &expanding("a")),
        soap("<t:RequestServerVersion Version=\"Exchange2010\" version=\"1\"/>", &expanding("a")),
        soap("<t:Unheard/>", &expanding("a")),
        soap("<t:ExchangeImpersonation><t:ConnectingSID/></t:ExchangeImpersonation>", &expanding("a")),
        // The namespaces that the vendor's own pages misprint.
        soap("", &resolving(FALSE, "ann")).replace("http://schemas.microsoft.com", "https://schemas.microsoft.com"),
        soap("", &resolving(FALSE, "ann"))
            .replace("http://schemas.xmlsoap.org/soap/envelope/", "http://www.w3.org/2003/05/soap-envelope"),
        format!("{ENVELOPE}<s:Body/><s:Header/></s:Envelope>"),
        format!("{ENVELOPE}<s:Header/></s:Envelope>"),
    ];
    for body in bad {
        assert_eq!(code(&body), (500, "ErrorSchemaValidation".to_owned()), "{body}");
    }
}

#[test]
fn a_violation_says_where_it_is() {
    let body = format!("{ENVELOPE}\n<s:Body>\n  <m:ResolveNames>\n</m:ResolveNames></s:Body></s:Envelope>");
    let answer = Answer::read(&send(&organisation(), &body));
    assert_eq!(answer.class, "Fault");
    assert_eq!((answer.told("LineNumber"), answer.told("LinePosition")), (Some("3"), Some("3")));
    assert_eq!(answer.told("Violation"), Some("The required attribute 'ReturnFullContactData' is missing."));
    assert!(answer.version.is_some());
}

#[test]
fn what_is_no_xml_or_has_a_document_type_does_not_come_through() {
    let good = soap("", &resolving(FALSE, "ann"));
    let typed = good.replace("?>", "?><!DOCTYPE x [<!ENTITY e \"ann\">]>").replace(">ann<", ">&e;<");
    for body in ["", "{}", &good[..good.len() - 5], &good.replace("ann", "a & b"), &typed] {
        assert_eq!(code(body), (400, String::new()), "{body}");
    }
}

#[test]
fn other_methods_addresses_and_types_of_content_are_refused() {
    let organisation = organisation();
    let credentials = organisation.credentials();
    let mut good = request(&soap("", &resolving(FALSE, "ann")));
    good.headers.insert("authorization", basic(&credentials.name(), &credentials.password));
    let status = |change: &dyn Fn(&mut tenantry_fakes::http::Request)| {
        let mut request = good.clone();
        change(&mut request);
        organisation.reply(&Connection::plain(), &request).status.as_u16()
    };
    let content = |kind: &'static str| {
        status(&|request| {
            request.headers.insert("content-type", HeaderValue::from_static(kind));
        })
    };
    assert_eq!(status(&|_| {}), 200);
    assert_eq!(status(&|request| "/ews/exchange.asmx".clone_into(&mut request.path)), 200);
    assert_eq!(status(&|request| "/".clone_into(&mut request.path)), 404);
    assert_eq!(content("text/xml;charset=\"UTF-8\""), 200);
    assert_eq!(content("application/soap+xml; charset=utf-8"), 415);
    assert_eq!(content("text/xml; charset=iso-8859-1"), 415);
    let page = status(&|request| request.method = Method::GET);
    assert_eq!(page, 200);
    assert_eq!(organisation.log().count(tenantry_fakes::ews::Call::ResolveNames), 3);
}
