"""Lets an account list and read CN=Deleted Objects, or takes that back. Arguments: smb.conf, sam.ldb, grant or revoke, sid."""

import re
import sys

import ldb
from samba.auth import system_session
from samba.dcerpc import security
from samba.ndr import ndr_pack, ndr_unpack
from samba.param import LoadParm
from samba.samdb import SamDB

conf, database, action, sid = sys.argv[1:5]
parameters = LoadParm()
parameters.load(conf)
sam = SamDB(url=database, lp=parameters, session_info=system_session())
domain = security.dom_sid(sam.get_domain_sid())
# The container is itself deleted, and only the access list (4) is to be read and written.
controls = ["show_deleted:1", "sd_flags:1:4"]
dn = ldb.Dn(sam, "CN=Deleted Objects," + str(sam.get_default_basedn()))
found = sam.search(dn, scope=ldb.SCOPE_BASE, attrs=["nTSecurityDescriptor"], controls=controls)
sddl = ndr_unpack(security.descriptor, found[0]["nTSecurityDescriptor"][0]).as_sddl(domain)
sddl = re.sub(r"\(A;CI;[A-Z]+;;;%s\)" % re.escape(sid), "", sddl)
if action == "grant":
    sddl += "(A;CI;LCRP;;;%s)" % sid
descriptor = security.descriptor.from_sddl(sddl, domain)
message = ldb.Message(dn)
message["nTSecurityDescriptor"] = ldb.MessageElement(
    ndr_pack(descriptor), ldb.FLAG_MOD_REPLACE, "nTSecurityDescriptor"
)
sam.modify(message, controls)
