"""The columns of the archive's table: the one dictionary from header to store, TAP_SCHEMA and answers.

The first thirty are those of ObsCore 1.1 (Louys et al. 2017, REC-ObsCore-v1.1, table 6 and appendix B), whose UCDs,
utypes and units are its own; the others are ours.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table, as VOTable and TAP_SCHEMA describe it."""

    name: str
    datatype: str
    """char, int, long or double."""
    description: str
    unit: str = ""
    ucd: str = ""
    utype: str = ""
    xtype: str = ""
    std: bool = False
    """Defined by a standard."""
    indexed: bool = False
    principal: bool = False

    @property
    def arraysize(self) -> str:
        """The arraysize of VOTable, empty for one number."""
        return "*" if self.datatype == "char" else ""


def _standard(
    name: str,
    datatype: str,
    utype: str,
    ucd: str,
    unit: str,
    description: str,
    *,
    xtype: str = "",
    indexed: bool = False,
) -> Column:
    return Column(name, datatype, description, unit, ucd, f"obscore:{utype}", xtype, True, indexed, True)


_S, _T, _E = "Char.SpatialAxis.", "Char.TimeAxis.", "Char.SpectralAxis."
OBSCORE: tuple[Column, ...] = (
    _standard("dataproduct_type", "char", "ObsDataset.dataProductType", "meta.code.class", "",
              "image, spectrum, cube or measurements"),
    _standard("calib_level", "int", "ObsDataset.calibLevel", "meta.code;obs.calib", "", "1 raw, 2 reduced"),
    _standard("obs_collection", "char", "DataID.collection", "meta.id", "", "collection: the instrument"),
    _standard("obs_id", "char", "DataID.observationID", "meta.id", "",
              "OBS ID, or the data product of a frame without block"),
    _standard("obs_publisher_did", "char", "Curation.publisherDID", "meta.ref.ivoid", "", "identifier", indexed=True),
    _standard("access_url", "char", "Access.reference", "meta.ref.url", "", "where the file is"),
    _standard("access_format", "char", "Access.format", "meta.code.mime", "", "media type of the file"),
    _standard("access_estsize", "long", "Access.size", "phys.size;meta.file", "kbyte", "size of the file"),
    _standard("target_name", "char", "Target.name", "meta.id;src", "", "OBS TARG NAME"),
    _standard("s_ra", "double", f"{_S}Coverage.Location.Coord.Position2D.Value2.C1", "pos.eq.ra", "deg",
              "right ascension of the centre (ICRS)", indexed=True),
    _standard("s_dec", "double", f"{_S}Coverage.Location.Coord.Position2D.Value2.C2", "pos.eq.dec", "deg",
              "declination of the centre (ICRS)", indexed=True),
    _standard("s_fov", "double", f"{_S}Coverage.Bounds.Extent.diameter", "phys.angSize;instr.fov", "deg",
              "diameter of the field"),
    _standard("s_region", "char", f"{_S}Coverage.Support.Area", "pos.outline;obs.field", "",
              "convex hull of all chips, or of the apertures of a spectrograph", xtype="adql:REGION", indexed=True),
    _standard("s_resolution", "double", f"{_S}Resolution.Refval.value", "pos.angResolution", "arcsec",
              "image quality (FWHM)"),
    _standard("s_xel1", "long", f"{_S}numBins1", "meta.number", "", "pixels along the first axis"),
    _standard("s_xel2", "long", f"{_S}numBins2", "meta.number", "", "pixels along the second axis"),
    _standard("t_min", "double", f"{_T}Coverage.Bounds.Limits.StartTime", "time.start;obs.exposure", "d",
              "start (MJD, UTC)", indexed=True),
    _standard("t_max", "double", f"{_T}Coverage.Bounds.Limits.StopTime", "time.end;obs.exposure", "d",
              "end (MJD, UTC)"),
    _standard("t_exptime", "double", f"{_T}Coverage.Support.Extent", "time.duration;obs.exposure", "s",
              "integration time"),
    _standard("t_resolution", "double", f"{_T}Resolution.Refval.value", "time.resolution", "s", "time resolution"),
    _standard("t_xel", "long", f"{_T}numBins", "meta.number", "", "samples in time"),
    _standard("em_min", "double", f"{_E}Coverage.Bounds.Limits.LoLimit", "em.wl;stat.min", "m",
              "shortest wavelength (vacuum)"),
    _standard("em_max", "double", f"{_E}Coverage.Bounds.Limits.HiLimit", "em.wl;stat.max", "m",
              "longest wavelength (vacuum)"),
    _standard("em_res_power", "double", f"{_E}Resolution.ResolPower.refVal", "spect.resolution", "",
              "resolving power"),
    _standard("em_xel", "long", f"{_E}numBins", "meta.number", "", "pixels along the wavelength"),
    _standard("o_ucd", "char", "Char.ObservableAxis.ucd", "meta.ucd", "", "quantity in the pixels"),
    _standard("pol_states", "char", "Char.PolarizationAxis.stateList", "meta.code;phys.polarization", "",
              "polarisation states: none"),
    _standard("pol_xel", "long", "Char.PolarizationAxis.numBins", "meta.number", "", "number of them"),
    _standard("facility_name", "char", "Provenance.ObsConfig.Facility.name", "meta.id;instr.tel", "", "TELESCOP"),
    _standard("instrument_name", "char", "Provenance.ObsConfig.Instrument.name", "meta.id;instr", "", "INSTRUME"),
)  # fmt: skip
OWN: tuple[Column, ...] = (
    Column("dp_id", "char", "identifier of the data product", ucd="meta.id;meta.main", indexed=True, principal=True),
    Column("ob_id", "long", "OBS ID; 0 without an Observing Block", ucd="meta.id", indexed=True, principal=True),
    Column("ob_name", "char", "OBS NAME", ucd="meta.id"),
    Column("prog_id", "char", "OBS PROG ID", ucd="meta.id", principal=True),
    Column("tpl_id", "char", "TPL ID", ucd="meta.id", principal=True),
    Column("dp_cat", "char", "DPR CATG of a raw frame, PRODCATG of a product", ucd="meta.code.class", principal=True),
    Column("dp_type", "char", "DPR TYPE", ucd="meta.code.class"),
    Column("dp_tech", "char", "DPR TECH, OBSTECH", ucd="meta.code.class"),
    Column("ins_mode", "char", "mode of the instrument", ucd="instr.setup", principal=True),
    Column("filter", "char", "filter", ucd="meta.id;instr.filter", principal=True),
    Column("dit", "double", "time of one integration", unit="s", ucd="time.duration;obs.exposure"),
    Column("ndit", "long", "integrations", ucd="meta.number"),
    Column("seed", "long", "seed of the random numbers", ucd="meta.code"),
    Column("abmaglim", "double", "limiting magnitude (AB, 5 sigma) of a product", unit="mag", ucd="phot.mag"),
    Column("snr", "double", "predicted signal-to-noise ratio of the target", ucd="stat.snr"),
    Column("airmass", "double", "airmass at the start", ucd="obs.airMass"),
    Column("sha256", "char", "SHA-256 of the file", ucd="meta.checksum", indexed=True),
    Column("file_name", "char", "name of the file", ucd="meta.id;meta.file"),
)
COLUMNS = OBSCORE + OWN
BY_NAME = {column.name: column for column in COLUMNS}
