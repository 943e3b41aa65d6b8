"""Documents of the service about itself: capabilities, availability, tables, examples.

VOSI 1.1, TAPRegExt 1.0, DALI 1.1.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from elvis_cli.archive import adql_functions, adql_shapes, query, tables, upload, uws, uws_job, votable
from elvis_cli.archive.columns import Column

_NAMESPACES = (
    'xmlns:vosi="http://www.ivoa.net/xml/VOSICapabilities/v1.0" xmlns:vs="http://www.ivoa.net/xml/VODataService/v1.1" '
    'xmlns:vr="http://www.ivoa.net/xml/VOResource/v1.0" xmlns:tr="http://www.ivoa.net/xml/TAPRegExt/v1.0" '
    'xmlns:sia="http://www.ivoa.net/xml/SIA/v1.1" xmlns:cs="http://www.ivoa.net/xml/ConeSearch/v1.0" '
    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
)
_FEATURES = "ivo://ivoa.net/std/TAPRegExt#features"
STANDARDS = {
    "tap": "ivo://ivoa.net/std/TAP",
    "sia2": "ivo://ivoa.net/std/SIA#query-2.0",
    "datalink": "ivo://ivoa.net/std/DataLink#links-1.1",
    "soda": "ivo://ivoa.net/std/SODA#sync-1.0",
}
EXAMPLES = (
    ("Raw frames within half a degree",
     "SELECT TOP 100 dp_id, target_name, t_min, access_url FROM ivoa.obscore WHERE calib_level = 1 AND "
     "1=CONTAINS(POINT('ICRS', s_ra, s_dec), CIRCLE('ICRS', 83.63, 22.01, 0.5))"),
    ("Products whose footprint has a place",
     "SELECT dp_id, dp_cat, abmaglim FROM ivoa.obscore WHERE calib_level = 2 AND "
     "1=INTERSECTS(CIRCLE('ICRS', 83.63, 22.01, 0.01), s_region)"),
    ("Files of each instrument and filter",
     "SELECT instrument_name, filter, COUNT(*) AS files, SUM(t_exptime) AS seconds FROM ivoa.obscore "
     "GROUP BY instrument_name, filter"),
    ("All files of an Observing Block",
     "SELECT dp_id, tpl_id, dp_type, t_min FROM ivoa.obscore WHERE ob_id = 100001 ORDER BY t_min"),
)  # fmt: skip


def capabilities(base: str, only: tuple[str, ...] = ()) -> bytes:
    """Return the capabilities of all services, or of those named in ``only``."""
    parts = {
        "tap": _tap(f"{base}/tap"),
        "sia2": _plain(STANDARDS["sia2"], f"{base}/sia2/query", "2.0"),
        "datalink": _plain(STANDARDS["datalink"], f"{base}/datalink/links", "1.1"),
        "soda": _plain(STANDARDS["soda"], f"{base}/soda/sync", "1.0"),
        "scs": _cone(f"{base}/scs"),
    }
    chosen = "".join(text for name, text in parts.items() if not only or name in only)
    root = f"{base}/{only[0]}" if only else f"{base}/tap"
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<vosi:capabilities {_NAMESPACES}>\n{chosen}{_vosi(root)}'
        "</vosi:capabilities>\n"
    ).encode()


def _vosi(root: str) -> str:
    names = ("capabilities", "availability", "tables") if root.endswith("/tap") else ("capabilities", "availability")
    text = "".join(
        f'<capability standardID="ivo://ivoa.net/std/VOSI#{name}">\n<interface xsi:type="vs:ParamHTTP" role="std"'
        f'{VERSION if name == "tables" else ""}>\n<accessURL use="full">{escape(root)}/{name}</accessURL>\n'
        "</interface>\n</capability>\n"
        for name in names
    )
    if root.endswith("/tap"):
        text += (
            '<capability standardID="ivo://ivoa.net/std/DALI#examples">\n<interface xsi:type="vr:WebBrowser">\n'
            f'<accessURL use="full">{escape(root)}/examples</accessURL>\n</interface>\n</capability>\n'
        )
    return text


VERSION = ' version="1.1"'


def _tap(url: str) -> str:
    geometry = "".join(f"<feature><form>{name}</form></feature>\n" for name in adql_shapes.FUNCTIONS)
    strings = "".join(f"<feature><form>{name}</form></feature>\n" for name in ("LOWER", "UPPER", "ILIKE"))
    formats = "".join(
        f"<outputFormat><mime>{f.media_type}</mime><alias>{f.name}</alias></outputFormat>\n" for f in votable.FORMATS
    )
    uploads = "".join(
        f'<uploadMethod ivo-id="ivo://ivoa.net/std/TAPRegExt#upload-{name}"/>\n' for name in ("inline", "http")
    )
    return f"""<capability standardID="{STANDARDS["tap"]}" xsi:type="tr:TableAccess">
<interface xsi:type="vs:ParamHTTP" role="std" version="1.1">
<accessURL use="base">{escape(url)}</accessURL>
</interface>
<language>
<name>ADQL</name>
<version ivo-id="ivo://ivoa.net/std/ADQL#v2.0">2.0</version>
<version ivo-id="ivo://ivoa.net/std/ADQL#v2.1">2.1</version>
<description>ADQL; functions: {", ".join(adql_functions.FUNCTIONS)}</description>
<languageFeatures type="{_FEATURES}-adqlgeo">
{geometry}</languageFeatures>
<languageFeatures type="ivo://ivoa.net/std/TAPRegExt#features-adql-string">
{strings}</languageFeatures>
</language>
{formats}{uploads}<retentionPeriod><default>{int(uws.KEPT)}</default><hard>{int(uws.MAX_KEPT)}</hard></retentionPeriod>
<executionDuration><default>{int(uws.DURATION)}</default><hard>{int(uws.MAX_DURATION)}</hard></executionDuration>
<outputLimit><default unit="row">{query.DEFAULT_LIMIT}</default><hard unit="row">{query.HARD_LIMIT}</hard></outputLimit>
<uploadLimit><hard unit="row">{upload.MAX_ROWS}</hard></uploadLimit>
</capability>
"""


def _plain(standard: str, url: str, version: str) -> str:
    return (
        f'<capability standardID="{standard}">\n<interface xsi:type="vs:ParamHTTP" role="std" version="{version}">\n'
        f'<accessURL use="base">{escape(url)}</accessURL>\n</interface>\n</capability>\n'
    )


def _cone(url: str) -> str:
    return (
        '<capability standardID="ivo://ivoa.net/std/ConeSearch" xsi:type="cs:ConeSearch">\n'
        '<interface xsi:type="vs:ParamHTTP" role="std">\n'
        f'<accessURL use="base">{escape(url)}?</accessURL>\n<queryType>GET</queryType>\n'
        "<resultType>application/x-votable+xml</resultType>\n"
        f"</interface>\n<maxSR>180</maxSR>\n<maxRecords>{query.HARD_LIMIT}</maxRecords>\n<verbosity>true</verbosity>\n"
        "<testQuery><ra>90</ra><dec>-58</dec><sr>5</sr></testQuery>\n</capability>\n"
    )


def availability(started: float) -> bytes:
    """Return that the service is available, since ``started`` (Unix seconds)."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<vosi:availability xmlns:vosi="http://www.ivoa.net/xml/VOSIAvailability/v1.0">\n'
        f"<vosi:available>true</vosi:available>\n<vosi:upSince>{uws_job.iso(started)}</vosi:upSince>\n</vosi:availability>\n"
    ).encode()


def table_set() -> bytes:
    """Return schemas, tables, columns and keys."""
    inside = "".join(
        f"<schema>\n<name>{name}</name>\n<description>{escape(text)}</description>\n{''.join(_tables(name))}</schema>\n"
        for name, text in tables.SCHEMAS.items()
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<vosi:tableset xmlns:vosi="http://www.ivoa.net/xml/VOSITables/v1.0" '
        'xmlns:vs="http://www.ivoa.net/xml/VODataService/v1.1" '
        f'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">\n{inside}</vosi:tableset>\n'
    ).encode()


def _tables(schema: str) -> Iterator[str]:
    for table in tables.PUBLIC:
        if table.schema != schema:
            continue
        name = f"{table.schema}.{table.name}"
        utype = f"<utype>{escape(table.utype)}</utype>\n" if table.utype else ""
        keys = "".join(
            f"<foreignKey>\n<targetTable>{target}</targetTable>\n<fkColumn><fromColumn>{source}</fromColumn>"
            f"<targetColumn>{wanted}</targetColumn></fkColumn>\n</foreignKey>\n"
            for _, origin, target, source, wanted in tables.KEYS
            if origin == name
        )
        yield (
            f'<table type="table">\n<name>{name}</name>\n<description>{escape(table.description)}</description>\n'
            f"{utype}{''.join(map(_column, table.columns))}{keys}</table>\n"
        )


def _column(column: Column) -> str:
    parts = [("name", tables.delimited(column.name)),
             ("description", column.description), ("unit", column.unit), ("ucd", column.ucd),
             ("utype", column.utype)]  # fmt: skip
    text = "".join(f"<{tag}>{escape(value)}</{tag}>" for tag, value in parts if value)
    size = f' arraysize="{column.arraysize}"' if column.arraysize else ""
    extended = f' extendedType="{column.xtype}"' if column.xtype else ""
    flags = "".join(f"<flag>{name}</flag>" for name in ("indexed", "principal") if getattr(column, name))
    return (
        f'<column std="{str(column.std).lower()}">{text}<dataType xsi:type="vs:VOTableType"{size}{extended}>'
        f"{column.datatype}</dataType>{flags}</column>\n"
    )


def examples() -> bytes:
    """Return the examples as XHTML with RDFa."""
    inside = "\n".join(
        f'<div typeof="example" id="example-{n}" resource="#example-{n}">\n<h2 property="name">{escape(name)}</h2>\n'
        f'<pre property="query">{escape(text)}</pre>\n</div>'
        for n, (name, text) in enumerate(EXAMPLES, 1)
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE html>\n'
        '<html xmlns="http://www.w3.org/1999/xhtml" lang="en">\n'
        "<head><title>Examples of queries</title></head>\n"
        f'<body vocab="http://www.ivoa.net/rdf/examples#">\n<h1>Examples of queries</h1>\n{inside}\n</body>\n</html>\n'
    ).encode()


def record(base: str, authority: str, title: str, created: str) -> bytes:
    """Return the registry record (VOResource 1.1) of the archive at an address."""
    inside = capabilities(base).decode().split("\n", 2)[2].removesuffix("</vosi:capabilities>\n")
    described = "".join(_tables("ivoa"))
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<ri:Resource xmlns:ri="http://www.ivoa.net/xml/RegistryInterface/v1.0" {_NAMESPACES}
 xsi:type="vs:CatalogService" created="{created}" updated="{created}" status="active">
<title>{escape(title)}</title>
<shortName>ELVIS</shortName>
<identifier>ivo://{escape(authority)}/archive</identifier>
<curation>
<publisher>{escape(authority)}</publisher>
<creator><name>ELVIS</name></creator>
<contact><name>{escape(authority)}</name></contact>
</curation>
<content>
<subject>simulated-observations</subject>
<description>Frames and products that ELVIS simulated: no telescope took these exposures.</description>
<referenceURL>{escape(base)}/</referenceURL>
<type>Simulation</type>
<contentLevel>Research</contentLevel>
</content>
{inside}<tableset>
<schema>
<name>ivoa</name>
{described}</schema>
</tableset>
</ri:Resource>
""".encode()
