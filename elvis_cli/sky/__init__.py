"""Above the telescope: transmission and emission, the Moon, refraction, turbulence; when and where it points."""
