"""Takes from an account the right to read one attribute of the objects that match, or gives it back.

Arguments: smb.conf, sam.ldb, deny or allow, filter, attribute, sid.
"""

import re
import sys

import ldb
from samba.auth import system_session
from samba.dcerpc import misc, security
from samba.ndr import ndr_pack, ndr_unpack
from samba.param import LoadParm
from samba.samdb import SamDB

conf, database, action, expression, attribute, sid = sys.argv[1:7]
parameters = LoadParm()
parameters.load(conf)
sam = SamDB(url=database, lp=parameters, session_info=system_session())
domain = security.dom_sid(sam.get_domain_sid())
controls = ["sd_flags:1:4"]
schema = sam.search(
    sam.get_schema_basedn(), expression="(lDAPDisplayName=%s)" % attribute, attrs=["schemaIDGUID"]
)
guid = str(ndr_unpack(misc.GUID, schema[0]["schemaIDGUID"][0]))
entry = "(OD;;RP;%s;;%s)" % (guid, sid)
found = sam.search(
    sam.get_default_basedn(),
    scope=ldb.SCOPE_SUBTREE,
    expression=expression,
    attrs=["nTSecurityDescriptor"],
    controls=controls,
)
if not found:
    sys.exit("nothing matches " + expression)
for object in found:
    sddl = ndr_unpack(security.descriptor, object["nTSecurityDescriptor"][0]).as_sddl(domain)
    sddl = re.sub(re.escape(entry), "", sddl)
    if action == "deny":
        # Denials stand in front: the first entry that matches decides.
        sddl = re.sub(r"D:([A-Z]*)\(", r"D:\1%s(" % entry, sddl, count=1)
    message = ldb.Message(object.dn)
    message["nTSecurityDescriptor"] = ldb.MessageElement(
        ndr_pack(security.descriptor.from_sddl(sddl, domain)), ldb.FLAG_MOD_REPLACE, "nTSecurityDescriptor"
    )
    sam.modify(message, controls)
