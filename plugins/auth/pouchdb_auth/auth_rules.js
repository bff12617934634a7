function (newDoc, oldDoc, userCtx, secObj) {
  function refuse(reason) {
    throw { forbidden: reason };
  }

  function administers() {
    var admins = secObj && secObj.admins ? secObj.admins : {};
    var names = admins.names || [];
    var roles = admins.roles || [];
    if (userCtx.roles.indexOf("_admin") !== -1 || names.indexOf(userCtx.name) !== -1) {
      return true;
    }
    return roles.some(function (role) { return userCtx.roles.indexOf(role) !== -1; });
  }

  if (newDoc._deleted === true) {
    if (administers() || (oldDoc && userCtx.name === oldDoc.name)) {
      return;
    }
    refuse("Only admins may delete other user docs.");
  }
  if (newDoc.type !== "user") {
    refuse("doc.type must be user");
  }
  if (!newDoc.name) {
    refuse("doc.name is required");
  }
  if (!newDoc.roles) {
    refuse("doc.roles must exist");
  }
  if (!isArray(newDoc.roles)) {
    refuse("doc.roles must be an array");
  }
  newDoc.roles.forEach(function (role) {
    if (typeof role !== "string") {
      refuse("doc.roles can only contain strings");
    }
  });
  if (newDoc._id !== "org.couchdb.user:" + newDoc.name) {
    refuse("Doc ID must be of the form org.couchdb.user:name");
  }
  if (oldDoc && !oldDoc._deleted && oldDoc.name !== newDoc.name) {
    refuse("Usernames can not be changed.");
  }
  if (newDoc.password_sha && !newDoc.salt) {
    refuse("Users with password_sha must have a salt.See /_utils/script/couch.js for example code.");
  }
  if (newDoc.password_scheme && ["simple", "pbkdf2", "bcrypt"].indexOf(newDoc.password_scheme) === -1) {
    refuse("Password scheme `" + newDoc.password_scheme + "` not supported.");
  }
  if (newDoc.password_scheme === "pbkdf2") {
    if (typeof newDoc.iterations !== "number") {
      refuse("iterations must be a number.");
    }
    if (typeof newDoc.derived_key !== "string") {
      refuse("derived_key must be a string.");
    }
  }
  if (!administers()) {
    if (oldDoc && !oldDoc._deleted) {
      if (userCtx.name !== newDoc.name) {
        refuse("You may only update your own user document.");
      }
      if (JSON.stringify((oldDoc.roles || []).slice().sort()) !== JSON.stringify(newDoc.roles.slice().sort())) {
        refuse("Only _admin may edit roles");
      }
    } else if (newDoc.roles.length > 0) {
      refuse("Only _admin may set roles");
    }
  }
  newDoc.roles.forEach(function (role) {
    if (role[0] === "_" && role !== "_metrics") {
      refuse("No system roles (starting with underscore) in users db.");
    }
  });
  if (newDoc.name[0] === "_") {
    refuse("Username may not start with underscore.");
  }
  if (newDoc.name.indexOf(":") !== -1) {
    refuse("Character `:` is not allowed in usernames.");
  }
}
