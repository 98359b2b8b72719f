"""How many frames a second a GPU decodes: a kit that is packed here and run where there is one."""
