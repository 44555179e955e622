//! The tables of properties by kind; they know nothing of changes or of requests.

use super::clock::instant;
use super::ids::{Kind, mix};
use super::names::capital;
use super::properties::{Property, Write};
use super::seeds::{GroupShape, Seeds, quoted};

const fn always(name: &'static str, write: Write) -> Property {
    Property { name, default: true, absent: "null", write: Some(write) }
}

const fn always_unset(name: &'static str) -> Property {
    Property { name, default: true, absent: "null", write: None }
}

const fn always_list(name: &'static str) -> Property {
    Property { name, default: true, absent: "[]", write: None }
}

const fn asked(name: &'static str, write: Write) -> Property {
    Property { name, default: false, absent: "null", write: Some(write) }
}

const fn unset(name: &'static str) -> Property {
    Property { name, default: false, absent: "null", write: None }
}

const fn list(name: &'static str) -> Property {
    Property { name, default: false, absent: "[]", write: None }
}

fn text(out: &mut Vec<u8>, text: &str) {
    quoted(out, |out| out.extend_from_slice(text.as_bytes()));
}

fn truth(out: &mut Vec<u8>, value: bool) {
    out.extend_from_slice(if value { b"true" } else { b"false" });
}

fn null(out: &mut Vec<u8>) {
    out.extend_from_slice(b"null");
}

fn seconds(out: &mut Vec<u8>, seconds: i64) {
    text(out, &instant(seconds));
}

fn when(out: &mut Vec<u8>, holds: bool, write: impl FnOnce(&mut Vec<u8>)) {
    if holds { write(out) } else { null(out) }
}

const LAST_SYNC: i64 = 1_768_435_200;

pub(crate) const USER: &[Property] = &[
    always_unset("id"),
    always_list("businessPhones"),
    always("displayName", |s, at, out| quoted(out, |out| s.write_display(at, out))),
    always("givenName", |s, at, out| quoted(out, |out| capital(s.names(at).0, out))),
    always("jobTitle", |s, at, out| when(out, !s.is_guest(at), |out| text(out, s.title(at)))),
    always("mail", |s, at, out| quoted(out, |out| s.write_mail(at, out))),
    always_unset("mobilePhone"),
    always_unset("officeLocation"),
    always("preferredLanguage", |s, at, out| when(out, s.chance(Kind::User, at, 10, 40), |out| text(out, "en-GB"))),
    always("surname", |s, at, out| quoted(out, |out| capital(s.names(at).1, out))),
    always("userPrincipalName", |s, at, out| quoted(out, |out| s.write_upn(at, out))),
    asked("accountEnabled", |s, at, out| truth(out, !s.chance(Kind::User, at, 11, 4))),
    unset("ageGroup"),
    asked("assignedLicenses", |s, at, out| {
        if s.is_guest(at) || s.chance(Kind::User, at, 12, 10) {
            out.extend_from_slice(b"[]");
        } else {
            out.extend_from_slice(b"[{\"disabledPlans\":[],\"skuId\":\"6fd2c87f-b296-42f0-b197-1e91e994b900\"}]");
        }
    }),
    list("assignedPlans"),
    unset("city"),
    unset("companyName"),
    unset("consentProvidedForMinor"),
    unset("country"),
    asked("createdDateTime", |s, at, out| s.write_created(Kind::User, at, out)),
    asked("creationType", |s, at, out| when(out, s.is_guest(at), |out| text(out, "Invitation"))),
    unset("deletedDateTime"),
    asked("department", |s, at, out| when(out, !s.is_guest(at), |out| text(out, s.department(at)))),
    unset("employeeHireDate"),
    asked("employeeId", |s, at, out| when(out, !s.is_guest(at), |out| text(out, &format!("E{at:07}")))),
    unset("employeeLeaveDateTime"),
    unset("employeeOrgData"),
    unset("employeeType"),
    asked("externalUserState", |s, at, out| {
        let state = if s.chance(Kind::User, at, 13, 20) { "PendingAcceptance" } else { "Accepted" };
        when(out, s.is_guest(at), |out| text(out, state));
    }),
    asked("externalUserStateChangeDateTime", |s, at, out| {
        when(out, s.is_guest(at), |out| seconds(out, s.created(Kind::User, at) + 3600));
    }),
    unset("faxNumber"),
    list("identities"),
    list("imAddresses"),
    unset("isManagementRestricted"),
    unset("isResourceAccount"),
    asked("lastPasswordChangeDateTime", |s, at, out| seconds(out, s.created(Kind::User, at) + 86_400)),
    unset("legalAgeGroupClassification"),
    list("licenseAssignmentStates"),
    asked("mailNickname", |s, at, out| quoted(out, |out| s.write_nick(at, out))),
    asked("onPremisesDistinguishedName", |s, at, out| {
        when(out, s.is_synced(Kind::User, at), |out| {
            quoted(out, |out| {
                out.extend_from_slice(b"CN=");
                s.write_nick(at, out);
                out.extend_from_slice(b",OU=People,DC=corp,DC=example");
            });
        });
    }),
    asked("onPremisesDomainName", |s, at, out| {
        when(out, s.is_synced(Kind::User, at), |out| text(out, "corp.example"));
    }),
    unset("onPremisesExtensionAttributes"),
    asked("onPremisesImmutableId", |s, at, out| {
        when(out, s.is_synced(Kind::User, at), |out| {
            text(out, &super::encoding::base64(&mix(s.seed ^ u64::from(at)).to_le_bytes().repeat(2)));
        });
    }),
    asked("onPremisesLastSyncDateTime", |s, at, out| {
        when(out, s.is_synced(Kind::User, at), |out| seconds(out, LAST_SYNC));
    }),
    list("onPremisesProvisioningErrors"),
    asked("onPremisesSamAccountName", |s, at, out| {
        when(out, s.is_synced(Kind::User, at), |out| text(out, &format!("u{at}")));
    }),
    asked("onPremisesSecurityIdentifier", |s, at, out| {
        when(out, s.is_synced(Kind::User, at), |out| text(out, &s.sid(Kind::User, at)));
    }),
    asked("onPremisesSyncEnabled", |s, at, out| when(out, s.is_synced(Kind::User, at), |out| truth(out, true))),
    asked("onPremisesUserPrincipalName", |s, at, out| {
        when(out, s.is_synced(Kind::User, at), |out| quoted(out, |out| s.write_upn(at, out)));
    }),
    list("otherMails"),
    unset("passwordPolicies"),
    unset("passwordProfile"),
    unset("postalCode"),
    unset("preferredDataLocation"),
    list("provisionedPlans"),
    asked("proxyAddresses", |s, at, out| {
        out.extend_from_slice(b"[\"SMTP:");
        s.write_mail(at, out);
        if !s.is_guest(at) && s.chance(Kind::User, at, 14, 25) {
            out.extend_from_slice(b"\",\"smtp:alias.");
            s.write_mail(at, out);
        }
        out.extend_from_slice(b"\"]");
    }),
    asked("securityIdentifier", |s, at, out| {
        let (a, b) = (mix(s.seed ^ u64::from(at)), mix(s.seed ^ u64::from(at) ^ 0xffff_0000_0000));
        text(out, &format!("S-1-12-1-{}-{}-{}-{}", a >> 32, a & 0xffff_ffff, b >> 32, b & 0xffff_ffff));
    }),
    list("serviceProvisioningErrors"),
    unset("showInAddressList"),
    asked("signInActivity", |s, at, out| {
        // Never signed in, or before April 2020: no such property.
        let days = i64::try_from(mix(s.seed ^ u64::from(at) << 3) % 90).unwrap_or(0);
        when(out, !s.chance(Kind::User, at, 15, 8), |out| sign_ins(out, LAST_SYNC - days * 86_400));
    }),
    asked("signInSessionsValidFromDateTime", |s, at, out| seconds(out, s.created(Kind::User, at) + 86_400)),
    unset("state"),
    unset("streetAddress"),
    asked("usageLocation", |s, at, out| when(out, !s.is_guest(at), |out| text(out, "DE"))),
    asked("userType", |s, at, out| text(out, if s.is_guest(at) { "Guest" } else { "Member" })),
];

/// What Graph tells of sign-ins, all at one time.
pub(crate) fn sign_ins(out: &mut Vec<u8>, at: i64) {
    let at = instant(at);
    let text = format!(
        "{{\"lastSignInDateTime\":\"{at}\",\"lastSignInRequestId\":\"{id}\",\
         \"lastNonInteractiveSignInDateTime\":\"{at}\",\"lastNonInteractiveSignInRequestId\":\"{id}\",\
         \"lastSuccessfulSignInDateTime\":\"{at}\",\"lastSuccessfulSignInRequestId\":\"{id}\"}}",
        id = "d2c4a8f1-7f26-4a5e-9f0e-6d3b5a0c1e00"
    );
    out.extend_from_slice(text.as_bytes());
}

fn has_mail(shape: GroupShape) -> bool {
    !matches!(shape, GroupShape::Security | GroupShape::Dynamic)
}

fn write_group_mail(s: &Seeds, at: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("group{at:06}@{}", s.domain).as_bytes());
}

/// Microsoft 365 and dynamic groups are born in the cloud.
fn group_synced(s: &Seeds, at: u32) -> bool {
    !matches!(s.shape(at), GroupShape::Unified | GroupShape::Dynamic) && s.is_synced(Kind::Group, at)
}

pub(crate) const GROUP: &[Property] = &[
    always_unset("id"),
    always_unset("deletedDateTime"),
    always_unset("classification"),
    always("createdDateTime", |s, at, out| s.write_created(Kind::Group, at, out)),
    always("description", |s, at, out| {
        when(out, s.chance(Kind::Group, at, 20, 60), |out| text(out, &format!("Seeded group number {at}")));
    }),
    always("displayName", |s, at, out| text(out, &format!("{} {at:06}", s.department(at)))),
    always_unset("expirationDateTime"),
    always("groupTypes", |s, at, out| {
        out.extend_from_slice(match s.shape(at) {
            GroupShape::Unified => b"[\"Unified\"]".as_slice(),
            GroupShape::Dynamic => b"[\"DynamicMembership\"]",
            _ => b"[]",
        });
    }),
    always_unset("isAssignableToRole"),
    always("mail", |s, at, out| {
        when(out, has_mail(s.shape(at)), |out| quoted(out, |out| write_group_mail(s, at, out)));
    }),
    always("mailEnabled", |s, at, out| truth(out, has_mail(s.shape(at)))),
    always("mailNickname", |_, at, out| text(out, &format!("group{at:06}"))),
    always("membershipRule", |s, at, out| {
        when(out, s.shape(at) == GroupShape::Dynamic, |out| {
            text(out, &format!("(user.department -eq \\\"{}\\\")", s.department(at)));
        });
    }),
    always("membershipRuleProcessingState", |s, at, out| {
        when(out, s.shape(at) == GroupShape::Dynamic, |out| text(out, "On"));
    }),
    always("onPremisesDomainName", |s, at, out| when(out, group_synced(s, at), |out| text(out, "corp.example"))),
    always("onPremisesLastSyncDateTime", |s, at, out| when(out, group_synced(s, at), |out| seconds(out, LAST_SYNC))),
    always("onPremisesNetBiosName", |s, at, out| when(out, group_synced(s, at), |out| text(out, "CORP"))),
    always("onPremisesSamAccountName", |s, at, out| {
        when(out, group_synced(s, at), |out| text(out, &format!("group{at:06}")));
    }),
    always("onPremisesSecurityIdentifier", |s, at, out| {
        when(out, group_synced(s, at), |out| text(out, &s.sid(Kind::Group, at)));
    }),
    always("onPremisesSyncEnabled", |s, at, out| when(out, group_synced(s, at), |out| truth(out, true))),
    always_unset("preferredDataLocation"),
    always_unset("preferredLanguage"),
    always("proxyAddresses", |s, at, out| {
        if has_mail(s.shape(at)) {
            out.extend_from_slice(b"[\"SMTP:");
            write_group_mail(s, at, out);
            out.extend_from_slice(b"\"]");
        } else {
            out.extend_from_slice(b"[]");
        }
    }),
    always("renewedDateTime", |s, at, out| s.write_created(Kind::Group, at, out)),
    always_list("resourceBehaviorOptions"),
    always_list("resourceProvisioningOptions"),
    always("securityEnabled", |s, at, out| {
        truth(out, !matches!(s.shape(at), GroupShape::Unified | GroupShape::Distribution));
    }),
    always("securityIdentifier", |s, at, out| {
        let (a, b) = (mix(s.seed ^ u64::from(at) << 20), mix(s.seed ^ u64::from(at) << 21));
        text(out, &format!("S-1-12-1-{}-{}-{}-{}", a >> 32, a & 0xffff_ffff, b >> 32, b & 0xffff_ffff));
    }),
    always_unset("theme"),
    always_unset("uniqueName"),
    always("visibility", |s, at, out| when(out, s.shape(at) == GroupShape::Unified, |out| text(out, "Private"))),
    always_list("onPremisesProvisioningErrors"),
    always_list("serviceProvisioningErrors"),
    list("assignedLabels"),
    list("assignedLicenses"),
    unset("hasMembersWithLicenseErrors"),
    unset("isManagementRestricted"),
    unset("licenseProcessingState"),
    unset("onPremisesExtensionAttributes"),
];

pub(crate) const DEVICE: &[Property] = &[
    always_unset("id"),
    always_unset("deletedDateTime"),
    always("accountEnabled", |s, at, out| truth(out, !s.chance(Kind::Device, at, 30, 3))),
    always("approximateLastSignInDateTime", |s, at, out| {
        let days = i64::try_from(mix(s.seed ^ u64::from(at) << 5) % 120).unwrap_or(0);
        seconds(out, LAST_SYNC - days * 86_400);
    }),
    always_unset("complianceExpirationDateTime"),
    always_unset("deviceCategory"),
    always("deviceId", |s, at, out| quoted(out, |out| s.write_guid(Kind::Device, at, 31, out))),
    always_unset("deviceMetadata"),
    always("deviceOwnership", |s, at, out| when(out, joined(s, at), |out| text(out, "Company"))),
    always("deviceVersion", |_, _, out| out.push(b'2')),
    always("displayName", |_, at, out| text(out, &format!("PC-{at:06}"))),
    always_unset("enrollmentProfileName"),
    always_unset("enrollmentType"),
    always("isCompliant", |s, at, out| when(out, joined(s, at), |out| truth(out, !s.chance(Kind::Device, at, 32, 10)))),
    always("isManaged", |s, at, out| when(out, joined(s, at), |out| truth(out, true))),
    always_unset("isManagementRestricted"),
    always_unset("isRooted"),
    always_unset("managementType"),
    always("manufacturer", |_, _, out| text(out, "Example Works")),
    always_unset("mdmAppId"),
    always("model", |s, at, out| text(out, if joined(s, at) { "Desk 5" } else { "Phone 2" })),
    always("onPremisesLastSyncDateTime", |s, at, out| {
        when(out, s.is_synced(Kind::Device, at), |out| seconds(out, LAST_SYNC));
    }),
    always("onPremisesSecurityIdentifier", |s, at, out| {
        when(out, s.is_synced(Kind::Device, at), |out| text(out, &s.sid(Kind::Device, at)));
    }),
    always("onPremisesSyncEnabled", |s, at, out| {
        when(out, s.is_synced(Kind::Device, at), |out| truth(out, true));
    }),
    always("operatingSystem", |s, at, out| text(out, if joined(s, at) { "Windows" } else { "Android" })),
    always("operatingSystemVersion", |s, at, out| text(out, if joined(s, at) { "10.0.26100.1742" } else { "15.0" })),
    always_list("physicalIds"),
    always("profileType", |_, _, out| text(out, "RegisteredDevice")),
    always("registrationDateTime", |s, at, out| s.write_created(Kind::Device, at, out)),
    always_list("systemLabels"),
    always("trustType", |s, at, out| {
        let kind = if s.is_synced(Kind::Device, at) { "ServerAd" } else { "AzureAd" };
        text(out, if joined(s, at) { kind } else { "Workplace" });
    }),
    always_list("alternativeSecurityIds"),
];

fn joined(s: &Seeds, at: u32) -> bool {
    s.is_synced(Kind::Device, at) || s.chance(Kind::Device, at, 33, 60)
}

pub(crate) const CONTACT: &[Property] = &[
    always_unset("id"),
    always_unset("deletedDateTime"),
    always_unset("companyName"),
    always_unset("department"),
    always_unset("displayName"),
    always_unset("givenName"),
    always_unset("jobTitle"),
    always_unset("mail"),
    always_unset("mailNickname"),
    always_unset("onPremisesSyncEnabled"),
    always_list("proxyAddresses"),
    always_unset("surname"),
];

pub(crate) const SERVICE: &[Property] = &[
    always_unset("id"),
    always_unset("deletedDateTime"),
    always_unset("accountEnabled"),
    always_unset("appDisplayName"),
    always_unset("appId"),
    always_unset("displayName"),
    always_unset("servicePrincipalType"),
    always_list("servicePrincipalNames"),
];
